"""How far attribution maps of one image agree: rank correlation and overlap of their tops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnlib.errors import AttnlibError

# The share of patches that counts as the top of a map.
TOP = 0.1

Array = NDArray[np.float64]


def spearman(maps: Sequence[ArrayLike]) -> Array:
    """Spearman's rank correlation of every pair of maps, ``(M, M)``, from −1 to 1.

    Tied values share the average of their ranks. A constant map has no order: its row and
    column are NaN, its own diagonal too.

    Args:
        maps: M maps of the same shape, e.g. ``(rows, cols)``.

    Raises:
        AttnlibError: the shapes differ, or a value is not finite.
    """
    ranks = np.stack([_ranks(values) for values in _flat(maps)])
    # Ranks are multiples of one half, so their mean and a constant map's zeros are exact.
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    norms[norms == 0] = np.nan
    unit = centred / norms
    correlation: Array = np.clip(unit @ unit.T, -1.0, 1.0)
    return correlation


def overlap(maps: Sequence[ArrayLike], fraction: float = TOP) -> Array:
    """Share of their top patches that two maps have in common, ``(M, M)``, from 0 to 1.

    |A ∩ B| / k, where A and B are the k = ceil(``fraction`` · N) patches with the highest values.
    Ties at the edge of a top are broken at random and independently for the two maps, and the
    expected value is given: a constant map has k / N in common with every map, itself included.
    Unrelated maps have k / N in common on average.

    Args:
        maps: M maps of the same shape with N values each.

    Raises:
        AttnlibError: ``fraction`` is not in (0, 1], or as :func:`spearman`.
    """
    if not 0 < fraction <= 1:
        raise AttnlibError(f"The fraction of top patches must be in (0, 1], not {fraction}.")
    flat = _flat(maps)
    # Rounded first: 0.07 * 100 is 7.000000000000001, which must not take an eighth patch.
    count = math.ceil(round(fraction * flat.shape[1], 9))
    chances = np.stack([_chance_of_top(values, count) for values in flat])
    common: Array = chances @ chances.T / count
    return common


def _flat(maps: Sequence[ArrayLike]) -> Array:
    arrays = [np.asarray(values, dtype=np.float64) for values in maps]
    if not arrays or len({array.shape for array in arrays}) > 1 or arrays[0].size == 0:
        shapes = ", ".join(str(array.shape) for array in arrays) or "none"
        raise AttnlibError(f"Maps that are compared must have one shape; these have: {shapes}.")
    flat = np.stack([array.ravel() for array in arrays])
    if not np.isfinite(flat).all():
        raise AttnlibError("A map has values that are not finite, so it cannot be compared.")
    return flat


def _ranks(values: Array) -> Array:
    """Ranks ``(N,)`` from 1; equal values share the average of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    average: Array = np.cumsum(counts) - (counts - 1) / 2
    return average[place]


def _chance_of_top(values: Array, count: int) -> Array:
    """For each value its chance ``(N,)`` of being among the ``count`` highest; ties at random."""
    threshold = np.partition(values, values.size - count)[values.size - count]
    above, tied = values > threshold, values == threshold
    chance: Array = above + tied * ((count - above.sum()) / tied.sum())
    return chance
