"""How alike heads attend, on one image or on average over many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist, squareform

from attnlib.errors import AttnlibError

Measure = Literal["pearson", "pooled", "cosine", "jensen-shannon"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
Matrix = NDArray[np.float64]

# Heads below a variance that rounding could make are constant: they correlate with nothing.
_CONSTANT = 1e-24


@dataclass(frozen=True)
class Similarity:
    """Similarity of every pair of heads over one image or many.

    Attributes:
        values: ``(M, M)``, symmetric, 1 on the diagonal.  Pearson, pooled or not, is from -1 to
            1, cosine and Jensen–Shannon from 0 to 1.
        images: over how many images it is the mean, or of how many the rows are pooled.
    """

    values: Matrix
    images: int


def similarity(maps: NDArray[np.floating], measure: Measure = "pearson") -> Matrix:
    """Similarity of every pair of heads on one image, ``(M, R, N) -> (M, M)``.

    Args:
        maps: R rows of attention over N keys for each of M heads, not negative.
        measure: ``"pearson"``, correlation over all R·N entries (0 for a constant map);
            ``"pooled"`` is the same on one image; ``"cosine"`` of them as one vector;
            ``"jensen-shannon"``, 1 minus the divergence in bits of the renormalised rows
            (Lin 1991), averaged over the R rows.

    Raises:
        AttnlibError: the measure is unknown or the maps are not three-dimensional.
    """
    if maps.ndim != 3:
        raise AttnlibError(f"Similarity needs maps (heads, rows, keys), not {maps.shape}.")
    wide = maps.astype(np.float64)
    if measure == "jensen-shannon":
        return _jensen_shannon(wide)
    if measure not in MEASURES:
        raise AttnlibError(f"There is no measure {measure!r}. Use one of {', '.join(MEASURES)}.")
    flat = wide.reshape(len(wide), -1)
    if measure != "cosine":
        flat = flat - flat.mean(axis=1, keepdims=True)
    return _normalised(flat @ flat.T, flat.shape[1])


def _normalised(products: Matrix, count: int) -> Matrix:
    """Inner products ``(M, M)`` over ``count`` entries, of unit vectors; 0 beside a constant."""
    power = np.diag(products)
    norms = np.sqrt(np.where(power > _CONSTANT * count, power, np.inf))
    result: Matrix = np.clip(products / norms[:, None] / norms, -1.0, 1.0)
    np.fill_diagonal(result, 1.0)
    return result


def _jensen_shannon(maps: Matrix) -> Matrix:
    sums = maps.sum(axis=-1, keepdims=True)
    shares = maps / np.where(sums > 0, sums, 1.0)
    own = _entropy(shares)
    result = np.ones((len(shares), len(shares)))
    for i in range(len(shares) - 1):
        mixed = _entropy((shares[i] + shares[i + 1 :]) / 2)
        divergence = (mixed - (own[i] + own[i + 1 :]) / 2).mean(axis=-1) / np.log(2)
        result[i, i + 1 :] = result[i + 1 :, i] = np.clip(1.0 - divergence, 0.0, 1.0)
    return result


def _entropy(shares: Matrix) -> Matrix:
    """In nats, over the last axis."""
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    total: Matrix = -(shares * logs).sum(axis=-1)
    return total


def accumulate(images: Iterable[NDArray[np.floating]], measure: Measure = "pearson") -> Similarity:
    """The mean over images of :func:`similarity`; holds one ``(M, M)`` sum, whatever the count.

    ``"pooled"`` is no mean: one correlation over the entries of all images, to which an image
    whose attention is peaked adds more than an even one.

    Raises:
        AttnlibError: there are no images.
    """
    if measure == "pooled":
        return _pooled(images)
    total: Matrix | None = None
    count = 0
    for maps in images:
        found = similarity(maps, measure)
        total = found if total is None else total + found
        count += 1
    if total is None:
        raise AttnlibError("There are no images to compare heads on.")
    return Similarity(total / count, count)


def _pooled(images: Iterable[NDArray[np.floating]]) -> Similarity:
    """Pearson over all entries at once; moments are merged image by image (Chan et al. 1983)."""
    count, seen = 0, 0
    mean: Matrix = np.zeros(0)
    products: Matrix = np.zeros((0, 0))
    for maps in images:
        flat = maps.astype(np.float64).reshape(len(maps), -1)
        own, more = flat.mean(axis=1), flat.shape[1]
        centred = flat - own[:, None]
        if not count:
            mean, products = np.zeros(len(flat)), np.zeros((len(flat), len(flat)))
        apart = own - mean
        products += centred @ centred.T + np.outer(apart, apart) * (seen * more / (seen + more))
        mean = mean + apart * (more / (seen + more))
        count, seen = count + 1, seen + more
    if not count:
        raise AttnlibError("There are no images to compare heads on.")
    return Similarity(_normalised(products, seen), count)


def cluster_order(values: Matrix) -> NDArray[np.intp]:
    """An order ``(M,)`` that puts similar heads next to each other.

    Average linkage on 1 − similarity with optimal leaf ordering (Bar-Joseph et al. 2001).
    """
    if len(values) < 3:
        return np.arange(len(values))
    distance = np.clip(1.0 - (values + values.T) / 2, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, method="average"), condensed)
    return np.asarray(leaves_list(tree), dtype=np.intp)


def diversity(values: Matrix, layers: int) -> Matrix:
    """Mean distance 1 − similarity between the heads of each layer, ``(L·H, L·H) -> (L,)``.

    NaN for layers of a single head.
    """
    heads = len(values) // layers
    if heads < 2:
        return np.full(layers, np.nan)
    blocks = values.reshape(layers, heads, layers, heads)
    own = blocks[np.arange(layers), :, np.arange(layers), :]
    mean: Matrix = (heads * heads - own.sum(axis=(1, 2))) / (heads * (heads - 1))
    return mean


def euclidean(maps: NDArray[np.floating], layers: int) -> Matrix:
    """Mean Euclidean distance between the maps of two heads of each layer, ``(L,)``.

    Args:
        maps: ``(L·H, R, N)``, R rows over N keys for each head; a row that sums to 1 is at most
            √2 from another. NaN for layers of a single head.
    """
    flat = maps.astype(np.float64).reshape(layers, len(maps) // layers, -1)
    if flat.shape[1] < 2:
        return np.full(layers, np.nan)
    return np.array([pdist(heads).mean() for heads in flat])
