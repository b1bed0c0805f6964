"""Attention knocked out by hand: some tokens cannot look at a region, and what the model then says.

Unlike a picture with a hole, nothing stands in the region's place: the patches are there, and only
the ways between them and others are cut.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture.tokens import TokenLayout
from attnlib.diagnosis.editing import Edit, in_pixels, probabilities
from attnlib.errors import AttnlibError
from attnlib.heads.intervention import without_attention
from attnlib.model.vit import Vit

Who = Literal["outside", "readout", "region", "other"]
WORDS: dict[Who, str] = {
    "outside": "no token outside looks at them",
    "readout": "the token that the prediction is read from does not look at them",
    "region": "they look at nothing else",
    "other": "other patches, chosen before, do not look at them",
}


def askable(vit: Vit) -> list[Who]:
    """Who can be kept from looking in this model; nobody without attention between all tokens."""
    if not vit.support.calls("layer"):
        return []
    return [who for who in get_args(Who) if who != "readout" or vit.layout.carriers]


def ways(
    layout: TokenLayout,
    region: NDArray[np.bool_],
    who: Who,
    other: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The tokens that shall not look, and those that they shall not look at, both ``(T,)`` bool.

    Args:
        region, other: ``(rows, cols)`` bool of patches.

    Raises:
        AttnlibError: a region is not of this grid, or no token is read.
    """
    for one in (region, *([] if other is None else [other])):
        if one.shape != layout.grid:
            raise AttnlibError(
                f"A region has {layout.grid[0]} x {layout.grid[1]} patches, not "
                f"{' x '.join(map(str, one.shape))}."
            )
    prefix = np.zeros(len(layout.prefix), dtype=bool)
    inside = np.append(prefix, region.ravel())
    if who == "outside":
        return ~inside, inside
    if who == "region":
        return inside, ~inside
    if who == "other":
        if other is None:
            raise AttnlibError("Choose the other patches that shall not look, too.")
        return np.append(prefix, other.ravel()), inside
    if not layout.carriers:
        raise AttnlibError(f"The prediction is read from the {layout.query}, not from one token.")
    queries = np.zeros(layout.tokens, dtype=bool)
    queries[list(layout.carriers)] = True
    return queries, inside


def knock_out(
    vit: Vit,
    pixels: Tensor,
    region: NDArray[np.bool_],
    who: Who = "outside",
    layers: Collection[int] | None = None,
    *,
    other: NDArray[np.bool_] | None = None,
) -> Edit:
    """Cut attention to a region in some layers, and predict.

    Args:
        pixels: ``(1, C, h, w)``, the model's input; it is not changed.
        region: ``(rows, cols)`` bool of patches.
        who: see ``WORDS``.
        layers: counted from 0; all if None.
        other: ``(rows, cols)`` bool, the patches that shall not look, for ``"other"``.

    Raises:
        AttnlibError: see :func:`ways`; there is no such layer.
        CaptureError: the model has no layers of attention between all tokens.
    """
    fitting = vit.fitting(pixels)
    queries, keys = ways(fitting.layout, region, who, other)
    logits = without_attention(fitting, pixels, queries, keys, layers)
    after = vit.outputs.probabilities(logits.cpu().to(torch.float64)).numpy()[0]
    return Edit(pixels, in_pixels(vit, pixels, region), probabilities(vit, pixels)[0], after)
