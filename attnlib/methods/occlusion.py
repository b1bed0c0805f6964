"""Occlusion: what the class's probability loses when a patch is not there."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.methods import perturbation
from attnlib.methods.base import Method, Option, Progress
from attnlib.methods.perturbation import BATCH_SIZE, REPLACEMENTS, Replacement
from attnlib.methods.subject import Subject


def occlusion(
    subject: Subject,
    target: int | None,
    *,
    replacement: Replacement = "zero",
    window: int = 1,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Tensor:
    """Drop in the target's probability, ``(N,)``, from −1 to 1; negative where it rises.

    A square of ``window`` x ``window`` patches moves over the grid, a patch at a time, always
    within it. A patch has the mean of the drops of the squares that cover it. Costs one forward
    pass per square, in batches of ``batch_size``.

    Raises:
        AttnlibError: there is no target, or the square is larger than the grid.
    """
    if target is None:
        raise AttnlibError("This method explains a class: give a target.")
    rows, cols = subject.layout.grid
    if not 1 <= window <= min(rows, cols):
        raise AttnlibError(
            f"window must be from 1 to {min(rows, cols)} patches on this grid of {rows} x {cols}, "
            f"not {window}."
        )
    places = [(i, j) for i in range(rows - window + 1) for j in range(cols - window + 1)]
    # The first mask is empty: the plain image.
    masks = np.zeros((1 + len(places), rows, cols), dtype=np.bool_)
    for mask, (i, j) in zip(masks[1:], places, strict=True):
        mask[i : i + window, j : j + window] = True
    found = perturbation.probabilities(
        subject.vit,
        subject.pixels,
        perturbation.reference(subject.pixels, replacement),
        masks,
        [target],
        batch_size=batch_size,
        progress=progress,
    )[:, 0]
    drops = torch.from_numpy(found[0] - found[1:])
    drops = drops.reshape(1, 1, rows - window + 1, cols - window + 1)
    square = torch.ones(1, 1, window, window, dtype=drops.dtype)
    covering = F.conv_transpose2d(torch.ones_like(drops), square)
    return (F.conv_transpose2d(drops, square) / covering).flatten()


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
        "window": Option(1, "Side of the square of patches replaced at once.", low=1),
    },
)
