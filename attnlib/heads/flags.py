"""Heads that stand out: redundant, one-hot and uniform ones, each by its own number.

“Collapse” is used for all three in the literature; they are different things.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.heads.similarity import Similarity
from attnlib.heads.statistics import HeadStatistics

REDUNDANT, ONE_HOT, UNIFORM = 0.95, 0.9, 0.95


@dataclass(frozen=True)
class Flags:
    """For every head the value behind each flag, and whether it reaches the threshold.

    Attributes:
        twin: ``(L, H)``, the largest similarity to another head of the same layer.
        twin_head: ``(L, H)``, which head that is.
        peak: ``(L, H)``, the largest share on one token, prefix tokens included.
        entropy: ``(L, H)``, in units of log N.
        redundant, one_hot, uniform: ``(L, H)``, twin, peak and entropy at or above the threshold.
    """

    twin: NDArray[np.float64]
    twin_head: NDArray[np.intp]
    peak: NDArray[np.float32]
    entropy: NDArray[np.float32]
    redundant: NDArray[np.bool_]
    one_hot: NDArray[np.bool_]
    uniform: NDArray[np.bool_]


def flag(
    similarity: Similarity,
    statistics: HeadStatistics,
    *,
    redundant: float = REDUNDANT,
    one_hot: float = ONE_HOT,
    uniform: float = UNIFORM,
) -> Flags:
    """Flag heads by three thresholds.

    Args:
        similarity: of all layers × heads, ``(L·H, L·H)``, heads of a layer together.
        redundant: least similarity to another head of the layer.
        one_hot: least share on one token.
        uniform: least entropy of the readout's row over patches.
    """
    layers, heads = statistics.entropy.shape
    blocks = similarity.values.reshape(layers, heads, layers, heads)
    own = blocks[np.arange(layers), :, np.arange(layers), :].copy()
    own[:, np.arange(heads), np.arange(heads)] = -np.inf
    twin = own.max(axis=-1)
    return Flags(
        twin=twin,
        twin_head=own.argmax(axis=-1),
        peak=statistics.peak,
        entropy=statistics.entropy,
        redundant=twin >= redundant,
        one_hot=statistics.peak >= one_hot,
        uniform=statistics.entropy >= uniform,
    )
