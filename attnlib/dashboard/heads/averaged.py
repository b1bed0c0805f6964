"""What every head does on average over the wrong (or the right) predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import Outcome
from attnlib.dashboard.heads import decided, grid, names, reasons, strangers
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import CaptureError
from attnlib.heads.ablation import HeadEffects, head_effects, mean_effects
from attnlib.heads.decision import Decision
from attnlib.model.vit import Vit
from attnlib.pictures.colormaps import Scale

LISTED = 12


@dataclass(frozen=True)
class Average:
    """The mean over images.

    Attributes:
        change: ``(L, H)``, of the margin without the head.
        turned: ``(L, H)``, share of images on which the other class wins without it.
        by_strangers: ``(L, H)``, share on which it wins with the same head of a random right image
            of a third class in its place; None where there is no such control.
        some, some_by_strangers: how many images some head turns, by its removal and by a stranger.
    """

    change: NDArray[np.float32]
    turned: NDArray[np.float32]
    images: int
    by_strangers: NDArray[np.float32] | None = None
    some: int = 0
    some_by_strangers: int = 0


def show(space: Workspace, outcome: Outcome) -> None:
    """Mean change of the margin, and share of images that each head's removal turns."""
    found = [p for p in space.predictions if p.outcome == outcome]
    if not found:
        st.info(f"No image is known to be predicted {outcome}.")
        return
    waiting = len(space.samples) - len(space.predictions)
    if waiting:
        st.caption(f"{waiting} images are not inspected yet, or could not be read.")
    choice, vit = space.choice, space.vit
    pairs = [(space.by_name[p.name], decided.of(p)) for p in found]
    # One stranger an image: over many images that is enough, and costs as much as the removal.
    donors = [strangers.of(space, p, 1) for p in found] if outcome == "wrong" else []
    controlled = bool(donors) and all(donors)
    gifts = [one[0] for one in donors] if controlled else []

    def work(progress: Progress) -> Average | CaptureError:
        # Two rounds where there is a control.
        rounds = 2 * len(pairs) if gifts else len(pairs)
        try:
            removed = list(_each(choice, vit, pairs, lambda done, _: progress(done, rounds)))
            some = sum(bool(one.repairs) for one in removed)
            if not gifts:
                return Average(*mean_effects(removed), some=some)
            given = list(
                _each(
                    choice, vit, pairs, lambda done, _: progress(len(pairs) + done, rounds), gifts
                )
            )
            also = sum(bool(one.repairs) for one in given)
            return Average(*mean_effects(removed), mean_effects(given)[1], some, also)
        except CaptureError as error:
            return error

    result = tasks.run(
        f"head effects, {outcome}",
        (
            choice,
            tuple((sample.sha256, decision) for sample, decision in pairs),
            tuple(gift.sha256 for gift in gifts),
        ),
        work,
        button=f"Remove every head in turn, on {len(found)} images",
        help="Predict each image once without each head, and average.",
        shared=True,
    )
    if isinstance(result, CaptureError):
        reasons.no_removal(space, result)
    elif result is not None:
        _show(result, outcome)


def _each(
    choice: ModelChoice,
    vit: Vit,
    pairs: list[tuple[Sample, Decision]],
    progress: Progress,
    gifts: Sequence[Sample] = (),
) -> Iterator[HeadEffects]:
    """The effects on each image; with ``gifts``, of putting that image's heads in the place."""
    for done, (sample, decision) in enumerate(pairs):
        progress(done, len(pairs))
        gift = gifts[done] if gifts else None

        def make(
            sample: Sample = sample,
            decision: Decision = decision,
            done: int = done,
            gift: Sample | None = gift,
        ) -> HeadEffects:
            # Asked after each layer too, so that “Stop” is heard within a large model's image.
            pixels = vit.pixels(results.decoded(choice, vit, sample))
            return head_effects(
                vit,
                pixels,
                progress=lambda *_: progress(done, len(pairs)),
                decision=decision,
                donor=None if gift is None else vit.pixels(results.decoded(choice, vit, gift)),
            )

        what = ("head effects", decision, *(() if gift is None else (gift.sha256,)))
        yield results.numbers(choice, sample, what, make)
    progress(len(pairs), len(pairs))


def _show(found: Average, outcome: Outcome) -> None:
    over = f"over {found.images} {outcome} prediction{'s' * (found.images > 1)}"
    if outcome == "wrong":
        rival, turned = "true class", "repaired"
    else:
        rival, turned = "runner-up", "turned into the runner-up"
    st.caption(
        f"Mean {over}. Margin: logit of the predicted class − logit of the {rival}; one head is "
        "removed at a time, all others stay as they are."
    )
    with st.container(horizontal=True, gap="medium"):
        grid.show(
            found.change,
            Scale.shared([found.change], signed=True, label="negative: speaks for the prediction"),
            key=f"mean-head-effects-{outcome}",
            title="Mean change of the margin",
            colormap=grid.SIGNED,
            unit="logits",
        )
        grid.show(
            found.turned,
            Scale.shared([found.turned], label="share of the images"),
            key=f"share-{turned.split()[0]}",
            title=f"Share of images {turned}",
        )
    by = found.turned if found.by_strangers is None else found.turned - found.by_strangers
    order = np.lexsort((found.change.ravel(), -by.ravel()))
    rows = [_facts(found, divmod(int(i), found.change.shape[1]), turned) for i in order]
    if not found.turned.any():
        st.info(f"No single head's removal gives any image {turned}.")
    if outcome == "wrong":
        st.markdown(_control(found))
    st.dataframe(rows[:LISTED], hide_index=True, width=620, alt="Heads by effect")
    if outcome == "wrong":
        st.caption(
            "A head whose removal repairs mistakes may be needed elsewhere: compare with “All "
            "right images”."
        )
    downloads.table(rows, f"mean-head-effects-{outcome}-list", "All heads (CSV)")


def _control(found: Average) -> str:
    """What repairs are worth: beside those by heads of unrelated images."""
    if found.by_strangers is None:
        return strangers.NONE
    return (
        f"Some head's removal repairs {found.some} of {found.images} mistakes. That is no evidence "
        f"by itself: {found.change.size} heads were tried on each, and with the same head of a "
        "random right image of a third class in its place some head repairs "
        f"**{found.some_by_strangers} of {found.images}**. Heads come in the order of the excess "
        "over that."
    )


def _facts(found: Average, head: names.Head, turned: str) -> dict[str, object]:
    facts: dict[str, object] = {
        "head": names.name(*head),
        f"share of images {turned}": round(float(found.turned[head]), 4),
        "mean change of margin": round(float(found.change[head]), 4),
    }
    if found.by_strangers is not None:
        share = float(found.by_strangers[head])
        facts["by random heads"] = round(share, 4)
        facts["excess"] = round(float(found.turned[head]) - share, 4)
    return facts
