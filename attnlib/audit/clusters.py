"""Clusters of embeddings: images that the model finds alike, fitted on one half of a set.

Which images are right has no part in it, and the half that slices are tested on has none in where
the clusters lie.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from attnlib.audit.where import FIRST, JUDGED, PLACE

Vectors = NDArray[np.float32]
TABLE = "create or replace table clusters (place ubigint, cluster integer)"
# So many images of a cluster on average are enough to see a rate; more clusters nobody reads.
EACH, MOST = 40, 30
# k-means on more is slower, not better.
SAMPLE = 8_000
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


def vectors(column: pa.ChunkedArray) -> Vectors:
    """Lists of one length as ``(n, D)``."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), -1 if len(column) else 0)


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


def kept(
    middles: Vectors,
    blocks: Iterable[pa.Table],
    cursor: duckdb.DuckDBPyConnection,
    step: Callable[[int], None],
) -> list[Cluster]:
    """Write the cluster of each image into the table ``clusters``; what is in each.

    Args:
        middles: ``(k, D)``.
        blocks: ``name``, ``embedding`` and ``first`` of all images.
        cursor: of a database with the audit's ``rows`` and an empty table; see :data:`TABLE`.
        step: called with the number of blocks done.
    """
    if not len(middles):
        return []
    best, examples = np.full(len(middles), np.inf), [""] * len(middles)
    for done, block in enumerate(blocks):
        places, far = assign(units(vectors(block["embedding"])), middles)
        cursor.register("block", pa.table({"name": block["name"], "cluster": places}))
        cursor.execute(f"insert into clusters select {PLACE}, cluster from block")
        first = np.flatnonzero(block["first"].to_numpy())
        first = first[np.argsort(far[first], kind="stable")]
        for number, at in zip(*np.unique(places[first], return_index=True), strict=True):
            if far[first[at]] < best[number]:
                best[number] = far[first[at]]
                examples[number] = block["name"][int(first[at])].as_py()
        step(done + 1)
    common = cursor.execute(
        "select cluster, list(label order by images desc, label)[1:2] from (select cluster, "
        f"label, count(*) as images from rows join clusters on place = {PLACE} where {JUDGED} "
        f"and {FIRST} group by all) group by cluster order by cluster"
    ).fetchall()
    return [Cluster(number, tuple(names), examples[number]) for number, names in common]
