"""Occlusion: what the class's probability loses when a patch is not there."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.methods import perturbation
from attnlib.methods.base import Method, Option, Progress, asked
from attnlib.methods.perturbation import BATCH_SIZE, REPLACEMENTS, Replacement
from attnlib.methods.subject import Subject

# As many squares as a ViT with patches of 16 pixels has patches at 224.
PARTS = 14


def occlusion(
    subject: Subject,
    target: int | None,
    *,
    replacement: Replacement = "zero",
    window: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Tensor:
    """Drop in the target's probability, ``(N,)``, from −1 to 1; negative where it rises.

    A square of ``window`` x ``window`` patches moves over the grid, a patch at a time, always
    within it. A patch has the mean of the drops of the squares that cover it. Costs one forward
    pass per square, in batches of ``batch_size``.

    Without a window it is one patch; where layers do not share their tokens, and patches are a
    few pixels, squares that part the shorter side into ``PARTS`` at most lie side by side.

    Raises:
        AttnlibError: there is no target, or the square is larger than the grid.
    """
    target = asked(target)
    rows, cols = subject.layout.grid
    side, step = (_side(subject),) * 2 if window is None else (window, 1)
    if not 1 <= side <= min(rows, cols):
        raise AttnlibError(
            f"window must be from 1 to {min(rows, cols)} patches on this grid of {rows} x {cols}, "
            f"not {side}."
        )
    down, across = (_starts(patches, side, step) for patches in (rows, cols))
    places = [(i, j) for i in down for j in across]
    # The first mask is empty: the plain image.
    masks = np.zeros((1 + len(places), rows, cols), dtype=np.bool_)
    for mask, (i, j) in zip(masks[1:], places, strict=True):
        mask[i : i + side, j : j + side] = True
    found = perturbation.probabilities(
        subject.vit,
        subject.pixels,
        perturbation.reference(subject.pixels, replacement),
        masks,
        [target],
        batch_size=batch_size,
        progress=progress,
    )[:, 0]
    drops = found[0] - found[1:]
    covering = masks[1:].reshape(len(places), -1).astype(drops.dtype)
    return torch.from_numpy((drops @ covering) / covering.sum(axis=0))


def _side(subject: Subject) -> int:
    """The side of the square that is replaced where nobody says it, in patches."""
    if "local" not in subject.vit.support.roles:
        return 1
    return math.ceil(min(subject.layout.grid) / PARTS)


def _starts(patches: int, side: int, step: int) -> list[int]:
    """The first patch of each square along a side; the last ends with the grid."""
    last = patches - side
    return sorted({*range(0, last, step), last})


OCCLUSION = Method(
    name="occlusion",
    title="Occlusion",
    short="occlusion",
    abbreviation="occ",
    slow=True,
    description=(
        "What the class's probability loses when a patch is replaced: measured on the model's "
        "answer, not read off its attention. Negative patches speak against the class. It costs "
        "one pass per patch, and answers to the replacement too."
    ),
    source="Zeiler & Fergus, ECCV 2014, section 4.2",
    unit="drop in {quantity}",
    compute=occlusion,
    class_specific=True,
    signed=True,
    needs="nothing",
    options={
        "replacement": Option(
            "zero",
            "What stands in the patch's place: the training mean (zero), the image's own mean, "
            "or the blurred image.",
            REPLACEMENTS,
        ),
        "window": Option(
            None,
            "Side of the square of patches replaced at once; empty is one patch, or a fourteenth "
            "of the picture where patches are tiny (windows, a pyramid).",
            low=1,
        ),
    },
    passes="1 for each patch",
)
