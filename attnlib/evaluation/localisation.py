"""Does a map lie on the object? Measures of a map against a mask of the crop.

They tell where the evidence lies, not whether it is right: a model that really uses the
background has a faithful map that lies beside the object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnlib.errors import AttnlibError
from attnlib.methods.perturbation import patch_index

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Localisation:
    """How one map lies on the object.

    Attributes:
        mass: share of the map's positive part that lies on the object, 0 to 1; each patch counts
            with the share of it that the object covers. NaN without a positive value.
        area: the object's share of the patches' area, 0 to 1: the mass of a uniform map.
        ratio: mass / area: 1 is what a uniform map gets, 1 / area the most there is.
        pointing: chance that a random point of the highest patch is on the object, 0 to 1; the
            mean over patches that share the highest value. Pointing game, Zhang et al.,
            ECCV 2016, in expectation and without its tolerance of 15 pixels.
        auc: chance that a random pixel of the object has a higher value than a random pixel
            beside it, equal values counted as half: the area under the ROC curve of the map's
            patches drawn as pixels. 1/2 for a uniform map; NaN if the object covers all.
    """

    mass: float
    area: float
    ratio: float
    pointing: float
    auc: float


def coverage(
    mask: ArrayLike, grid: tuple[int, int], index: NDArray[np.int64] | None = None
) -> Array:
    """The share of each patch that the object covers, ``(rows, cols)``, 0 to 1.

    Args:
        mask: ``(h, w)`` bool, at the resolution of the model's crop.
        index: as in :func:`localise`.
    """
    covered, pixels = _counts(mask, grid, index)
    return covered / pixels


def localise(
    values: ArrayLike, mask: ArrayLike, index: NDArray[np.int64] | None = None
) -> Localisation:
    """All measures of one map.

    Args:
        values: ``(rows, cols)``. Only the ratio and the mass ignore what is negative.
        mask: ``(h, w)`` bool, at the resolution of the model's crop.
        index: the patch of each pixel, ``(h, w)``, as ``vit.layout.patch_index`` has it; pixels
            in no patch (-1) do not count. None where patches fill the crop.

    Raises:
        AttnlibError: a value is not finite, the mask is empty, or it has fewer pixels than
            patches.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not np.isfinite(array).all():
        raise AttnlibError("A map must be (rows, cols) with finite values to be measured.")
    covered, pixels = _counts(mask, (array.shape[0], array.shape[1]), index)
    if not covered.any():
        raise AttnlibError("The mask is empty: there is no object to measure against.")
    share = covered / pixels
    area = float(share.sum() / share.size)
    mass = math.nan
    if array.max() > 0:
        # Scaled to 1 first, so that a uniform map gets its area exactly.
        positive = np.maximum(array, 0) / array.max()
        mass = float((positive * share).sum() / positive.sum())
    pointing = float(share[array == array.max()].mean())
    return Localisation(mass, area, mass / area, pointing, _auc(array, covered, pixels))


def _counts(
    mask: ArrayLike, grid: tuple[int, int], index: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of each patch that are on the object, and all of them, two ``(rows, cols)``."""
    array = np.asarray(mask, dtype=np.bool_)
    if array.ndim != 2 or array.shape[0] < grid[0] or array.shape[1] < grid[1]:
        raise AttnlibError(
            f"A mask must be (h, w) pixels of the model's crop, with {grid[0]} x {grid[1]} "
            f"patches or more, not {array.shape}."
        )
    if index is None:
        index = patch_index((array.shape[0], array.shape[1]), grid)
    if index.shape != array.shape:
        raise AttnlibError(f"The mask has {array.shape} pixels, the model's input {index.shape}.")
    count = grid[0] * grid[1]
    every = np.bincount(index[index >= 0], minlength=count).reshape(grid)
    covered = np.bincount(index[array & (index >= 0)], minlength=count).reshape(grid)
    return covered, every


def _auc(values: Array, covered: NDArray[np.int64], pixels: NDArray[np.int64]) -> float:
    """The Mann-Whitney statistic over pixels, as a share of all pairs."""
    inside, outside = covered.ravel(), (pixels - covered).ravel()
    pairs = int(inside.sum()) * int(outside.sum())
    if not pairs:
        return math.nan
    _, place = np.unique(values, return_inverse=True)
    positive = np.bincount(place.ravel(), weights=inside)
    negative = np.bincount(place.ravel(), weights=outside)
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)
