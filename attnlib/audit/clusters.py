"""Clusters of embeddings: images that the model finds alike, fitted on one half of a set.

Which images are right has no part in it, and the half that slices are tested on has none in where
the clusters lie.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

Vectors = NDArray[np.float32]
# So many images of a cluster on average are enough to see a rate; more clusters nobody reads.
EACH, MOST = 40, 30
# k-means on more is slower, not better.
SAMPLE = 20_000
# One start may end where two clusters share a middle.
STARTS = 4


@dataclass(frozen=True)
class Cluster:
    """Images that lie together.

    Attributes:
        number: from 0 on.
        classes: the commonest true classes of the first half, at most two.
        example: name of the image of that half which is nearest to the middle.
    """

    number: int
    classes: tuple[str, ...]
    example: str

    @property
    def words(self) -> str:
        """What is in it."""
        return f"mostly {', '.join(self.classes)}; like {self.example}"


def units(vectors: NDArray[np.floating]) -> Vectors:
    """Vectors ``(n, D)`` of length 1; one of length 0 or with numbers that are not finite is 0."""
    found = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    return np.asarray(np.where(usable, found / np.where(usable, lengths, 1), 0), np.float32)


def fit(vectors: Vectors) -> Vectors:
    """Middles ``(k, D)`` of clusters of unit vectors ``(n, D)``, k-means++; none of too few."""
    count = min(MOST, len(vectors) // EACH)
    if count < 2:
        return np.zeros((0, vectors.shape[1]), np.float32)
    starts: list[tuple[float, Vectors]] = []
    with warnings.catch_warnings():
        # A cluster that is left empty is taken out below.
        warnings.simplefilter("ignore", UserWarning)
        for seed in range(STARTS):
            middles, places = kmeans2(vectors, count, iter=25, minit="++", seed=seed)
            middles = middles[np.bincount(places, minlength=count) > 0].astype(np.float32)
            starts.append((float(assign(vectors, middles)[1].sum()), middles))
    return min(starts, key=lambda start: start[0])[1]


def assign(vectors: Vectors, middles: Vectors) -> tuple[NDArray[np.intp], Vectors]:
    """The nearest middle ``(n,)`` of each vector, and its squared distance less the vector's."""
    distances = (middles**2).sum(axis=1) - 2 * (vectors @ middles.T)
    places = distances.argmin(axis=1)
    return places, distances[np.arange(len(vectors)), places]
