"""Clusters of embeddings: images that the model finds alike, fitted on one half of a set.

Which images are right has no part in it, and the half that slices are tested on has none in where
the clusters lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_array

from attnlib.audit.where import FIRST, JUDGED, PLACE

Vectors = NDArray[np.float32]
PLACED = pa.schema([("place", pa.uint64()), ("cluster", pa.int32())])
# So many images of a cluster on average are enough to see a rate; more clusters nobody reads.
EACH, MOST = 40, 30
# k-means on more is slower, not better.
SAMPLE = 8_000
# One start may end where two clusters share a middle.
STARTS, ROUNDS = 4, 25


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
    scales = _scales(found)
    with np.errstate(invalid="ignore"):
        made = found * scales[:, None]
    made[scales == 0] = 0
    return np.asarray(made, np.float32)


def _scales(vectors: Vectors) -> Vectors:
    """What makes each vector as long as 1 ``(n,)``; 0 where nothing does."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    usable = np.isfinite(lengths) & (lengths > 0)
    return np.asarray(np.where(usable, 1 / np.where(usable, lengths, 1), 0), np.float32)


def fit(vectors: Vectors) -> Vectors:
    """Middles ``(k, D)`` of clusters of unit vectors ``(n, D)``, k-means++; none of too few."""
    count = min(MOST, len(vectors) // EACH)
    if count < 2:
        return np.zeros((0, vectors.shape[1]), np.float32)
    starts = [_lloyd(vectors, _spread(vectors, count, seed)) for seed in range(STARTS)]
    return min(starts, key=lambda middles: float(assign(vectors, middles)[1].sum()))


def _spread(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Some of the vectors ``(count, D)``, the next likelier the farther it is from those before
    (D. Arthur, S. Vassilvitskii, SODA 2007)."""
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(vectors)))]
    nearest = np.full(len(vectors), np.inf)
    for _ in range(count - 1):
        apart = ((vectors - vectors[chosen[-1]]) ** 2).sum(axis=1)
        nearest = np.minimum(nearest, apart)
        total = nearest.sum()
        shares = nearest / total if total > 0 else None
        chosen.append(int(rng.choice(len(vectors), p=shares)))
    return vectors[chosen]


def _lloyd(vectors: Vectors, middles: Vectors) -> Vectors:
    """Middles that are the means of what is nearest to them; one that is left empty is left out.

    Distances are one product of matrices: scipy's kmeans2 takes several times as long.
    """
    each = np.arange(len(vectors))
    for _ in range(ROUNDS):
        places, _ = assign(vectors, middles)
        held = csr_array(
            (np.ones(len(each), np.float32), (places, each)), (len(middles), len(each))
        )
        counts = np.bincount(places, minlength=len(middles))[:, None]
        moved = np.where(counts > 0, held @ vectors / np.maximum(counts, 1), middles)
        if np.array_equal(moved, middles):
            break
        middles = moved.astype(np.float32)
    places, _ = assign(vectors, middles)
    return middles[np.bincount(places, minlength=len(middles)) > 0]


def assign(vectors: Vectors, middles: Vectors) -> tuple[NDArray[np.intp], Vectors]:
    """The middle ``(n,)`` that is nearest to each vector ``(n, D)`` made as long as 1, see
    :func:`units`, and its squared distance less the vector's."""
    # The products are made shorter and not the vectors, of which there are more.
    scales = _scales(vectors)
    with np.errstate(invalid="ignore"):
        distances = (vectors @ (-2 * middles.T)) * scales[:, None]
    distances[scales == 0] = 0
    distances += (middles**2).sum(axis=1)
    places = distances.argmin(axis=1)
    return places, np.take_along_axis(distances, places[:, None], axis=1)[:, 0]


def placed(
    middles: Vectors, blocks: Iterable[pa.Table], step: Callable[[int], None]
) -> tuple[pa.Table, list[str]]:
    """The cluster of each image by its ``place``, and the name of an example of each cluster.

    Args:
        middles: ``(k, D)``.
        blocks: ``name``, ``place``, ``embedding`` and ``first`` of all images.
        step: called with the number of images done.
    """
    best, examples = np.full(len(middles), np.inf), [""] * len(middles)
    found, done = [], 0
    for block in blocks if len(middles) else ():
        numbers, far = assign(vectors(block["embedding"]), middles)
        found.append(pa.table({"place": block["place"], "cluster": numbers.astype(np.int32)}))
        first = np.flatnonzero(block["first"].to_numpy())
        first = first[np.argsort(far[first], kind="stable")]
        for number, at in zip(*np.unique(numbers[first], return_index=True), strict=True):
            if far[first[at]] < best[number]:
                best[number] = far[first[at]]
                examples[number] = block["name"][int(first[at])].as_py()
        done += len(block)
        step(done)
    return pa.concat_tables(found) if found else PLACED.empty_table(), examples


def listed(cursor: duckdb.DuckDBPyConnection, examples: list[str]) -> list[Cluster]:
    """What is in each cluster that has an image of the first half.

    Args:
        cursor: of a database with the audit's ``rows`` and their ``clusters``.
    """
    common = cursor.execute(
        "select cluster, list(label order by images desc, label)[1:2] from (select cluster, "
        f"label, count(*) as images from rows join clusters on place = {PLACE} where {JUDGED} "
        f"and {FIRST} group by all) group by cluster order by cluster"
    ).fetchall()
    return [Cluster(number, tuple(names), examples[number]) for number, names in common]
