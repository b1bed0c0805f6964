"""Integrated gradients: what the way from a replacement to the image adds to the logit."""

from __future__ import annotations

import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.gradients import slopes
from attnlib.methods import perturbation
from attnlib.methods.base import Method, Option, Progress, asked
from attnlib.methods.contrast import AGAINST, two
from attnlib.methods.perturbation import REPLACEMENTS, Replacement
from attnlib.methods.subject import Subject
from attnlib.methods.way import mean_over


def integrated(
    subject: Subject,
    target: int | None,
    *,
    replacement: Replacement = "zero",
    steps: int = 12,
    progress: Progress | None = None,
) -> Tensor:
    """Parts of z(image) − z(replacement), z the target's logit, ``(N,)``, signed.

    Σ over a patch's pixels of (x − x') · mean_k ∂z/∂x at x' + (k − ½)/K · (x − x'), the midpoint
    rule with K ``steps``.  The parts sum to the difference of the logits but for that rule's
    error, which falls with 1 / K².  Costs K passes forward and back.

    Raises:
        AttnlibError: there is no target.
        OutOfMemory: not even one pass fits into memory.
    """
    target = asked(target)
    return _on_the_way(subject, target, None, replacement, steps, progress)


def integrated_contrast(
    subject: Subject,
    target: int | None,
    *,
    against: int | None = None,
    replacement: Replacement = "zero",
    steps: int = 12,
    progress: Progress | None = None,
) -> Tensor:
    """The same of the margin z_target − z_against, ``(N,)``, signed: the difference of both maps.

    Raises:
        AttnlibError: the classes are not two.
        OutOfMemory: not even one pass fits into memory.
    """
    return _on_the_way(subject, *two(target, against), replacement, steps, progress)


def _on_the_way(
    subject: Subject,
    target: int,
    against: int | None,
    replacement: Replacement,
    steps: int,
    progress: Progress | None,
) -> Tensor:
    start = perturbation.reference(subject.pixels, replacement)
    way = subject.pixels - start

    def at(places: Tensor) -> Tensor:
        return _slopes(subject, start + places[:, None, None, None] * way, target, against)

    mean = mean_over(steps, way, at, progress)
    return perturbation.per_patch(subject.layout, (way * mean).sum(dim=1))


def _slopes(subject: Subject, pixels: Tensor, target: int, against: int | None) -> Tensor:
    """The sum of the gradients at some pictures ``(B, C, h, w)``, ``(1, C, h, w)``."""
    vit = subject.vit
    with torch.enable_grad():
        pixels = pixels.detach().requires_grad_()
        # Watched, so that a backbone that says no_grad has a graph all the same.
        logits, _ = passes.forward(vit.module, pixels, _ignore, precision=vit.precision, graph=True)
        scores = vit.outputs.scores(logits)
        explained = scores[:, target] if against is None else scores[:, target] - scores[:, against]
        (gradient,) = slopes(explained.sum(), [pixels], "the image")
    return gradient.sum(dim=0, keepdim=True)


def _ignore(call: AttentionCall) -> None:
    return None


OPTIONS = {
    "replacement": Option(
        "zero",
        "Where the way begins: at the training mean (zero), the image's own mean, or the "
        "blurred image.",
        REPLACEMENTS,
    ),
    "steps": Option(12, "Pictures on the way, a pass each.", low=1, high=1000),
}
SOURCE = "Sundararajan, Taly & Yan, ICML 2017, eq. 1 and 3"

INTEGRATED = Method(
    name="integrated",
    title="Integrated gradients",
    short="int. grad",
    abbreviation="IG",
    description=(
        "What each patch adds to the class's logit on the way from a replaced picture to the "
        "image, pixel by pixel: the parts sum to the difference of the two logits. Negative "
        "patches speak against the class."
    ),
    source=SOURCE,
    unit="part of the class's logit",
    compute=integrated,
    class_specific=True,
    signed=True,
    needs="nothing",
    options=OPTIONS,
    slow=True,
    passes="12 + 12 back",
)

INTEGRATED_CONTRAST = Method(
    name="integrated_contrast",
    title="Integrated contrast",
    compared=False,
    description=(
        "What each patch adds to the lead of the target class's logit over the other one's, on the "
        "way from a replaced picture to the image. Negative patches speak for the other class."
    ),
    source=f"{SOURCE}, for the margin of two logits",
    unit="part of the margin",
    compute=integrated_contrast,
    class_specific=True,
    signed=True,
    needs="nothing",
    options={
        "against": AGAINST,
        **OPTIONS,
    },
    slow=True,
    passes="12 + 12 back",
)
