"""Integrated relevance: relevance on the way from attention that is everywhere alike."""

from __future__ import annotations

from torch import Tensor

from attnlib.capture.evened import Score, evened
from attnlib.methods.base import Method, Option, Progress, asked
from attnlib.methods.contrast import AGAINST, two
from attnlib.methods.relevance import along
from attnlib.methods.subject import Subject
from attnlib.methods.way import mean_over


def integrated_relevance(
    subject: Subject,
    target: int | None,
    *,
    steps: int = 6,
    start_layer: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """Relevance to the target's logit, averaged on the way, ``(N,)``, not negative.

    The mean over k of relevance (:mod:`attnlib.methods.relevance`) in a pass whose attention is
    w A + (1 - w) U in every layer, w = (k - 1/2) / K with K ``steps``, U = 1 / T: slopes where the
    model already is sure say little, and those on the way do.  Costs K passes forward and back.

    Raises:
        AttnlibError: there is no target, or no such layer.
        CaptureError: the model's attention lets nothing be put in its place.
        OutOfMemory: not even one pass fits into memory.
    """
    target = asked(target)
    return _on_the_way(subject, lambda scores: scores[:, target], steps, start_layer, progress)


def integrated_relevance_contrast(
    subject: Subject,
    target: int | None,
    *,
    against: int | None = None,
    steps: int = 6,
    start_layer: int = 0,
    progress: Progress | None = None,
) -> Tensor:
    """The same of the margin z_target - z_against, ``(N,)``, not negative.

    As with :mod:`attnlib.methods.contrast` what speaks for the other class is not its negative.

    Raises:
        AttnlibError: the classes are not two, or there is no such layer.
        CaptureError: the model's attention lets nothing be put in its place.
        OutOfMemory: not even one pass fits into memory.
    """
    target, against = two(target, against)

    def margin(scores: Tensor) -> Tensor:
        return scores[:, target] - scores[:, against]

    return _on_the_way(subject, margin, steps, start_layer, progress)


def _on_the_way(
    subject: Subject, score: Score, steps: int, start_layer: int, progress: Progress | None
) -> Tensor:
    def at(own: Tensor) -> Tensor:
        found = evened(subject.vit, subject.pixels, own, score)
        maps = [along(trace, gradients, start_layer) for trace, gradients in found]
        return sum(maps[1:], start=maps[0])

    return mean_over(steps, subject.pixels, at, progress)


OPTIONS = {
    "steps": Option(6, "Passes on the way, each with its gradient.", low=1, high=1000),
    "start_layer": Option(0, "First layer that takes part, counted from 0.", low=0),
}
SOURCE = (
    "ours: Chefer, Gur & Wolf, ICCV 2021, eq. 5 and 6, on a way as in Hao et al., AAAI 2021, eq. 6"
)

INTEGRATED_RELEVANCE = Method(
    name="integrated_relevance",
    title="Integrated relevance",
    compared=False,
    description=(
        "Gradient-weighted relevance, averaged over passes in which attention goes from looking "
        "everywhere alike to where the model looks. Where a model is so sure that nothing small "
        "changes its answer, it still sees what made it sure."
    ),
    source=SOURCE,
    unit="relevance to the class's logit",
    compute=integrated_relevance,
    class_specific=True,
    needs="relevance",
    options=OPTIONS,
    slow=True,
    passes="6 + 6 back",
)

INTEGRATED_RELEVANCE_CONTRAST = Method(
    name="integrated_relevance_contrast",
    title="Relevance contrast",
    compared=False,
    description=(
        "What speaks for the target class rather than the other one: attention counts where "
        "raising it would raise the first one's logit above the second one's, averaged over "
        "passes in which attention goes from looking everywhere alike to where the model looks."
    ),
    source=f"{SOURCE}, for the margin of two logits",
    unit="relevance to the margin",
    compute=integrated_relevance_contrast,
    class_specific=True,
    needs="relevance",
    options={
        "against": AGAINST,
        **OPTIONS,
    },
    slow=True,
    passes="6 + 6 back",
)
