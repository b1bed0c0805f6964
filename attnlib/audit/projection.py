"""Embeddings in two dimensions, so that images the model finds alike lie near each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from attnlib.errors import AttnlibError

Method = Literal["pca", "tsne", "umap"]
METHODS: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}

# Neighbours are sought in this many dimensions: more are slow and mostly noise.
_DIMENSIONS = 50
# Below this number of images a picture of neighbourhoods says nothing.
LEAST = 10
_SEED = 0
_LIBRARIES = {"tsne": ("sklearn", "scikit-learn"), "umap": ("umap", "umap-learn")}


@dataclass(frozen=True)
class Projection:
    """Points in the plane.

    Attributes:
        points: ``(n, 2)`` float64, in the order of the embeddings.
        shares: of PCA, the share of the variance along either axis, 0 to 1; else None.
    """

    points: NDArray[np.float64]
    shares: tuple[float, float] | None = None


def project(embeddings: NDArray[np.floating], method: Method = "pca") -> Projection:
    """Embeddings ``(n, D)`` in the plane, the same each time on the same machine.

    Raises:
        AttnlibError: numbers are not finite, the library of the method is not installed, or
            there are too few images for it.
    """
    if method == "pca":
        return pca(embeddings)
    if problem := missing(method):
        raise AttnlibError(problem)
    if len(embeddings) < LEAST:
        raise AttnlibError(
            f"{METHODS[method]} arranges neighbourhoods and needs at least {LEAST} images; "
            f"there are {len(embeddings)}. PCA shows any number."
        )
    reduced = _components(embeddings, _DIMENSIONS)[0]
    return Projection(_ARRANGE[method](reduced).astype(np.float64))


def pca(embeddings: NDArray[np.floating]) -> Projection:
    """The two directions ``(n, D) -> (n, 2)`` in which the embeddings vary most.

    Each axis points to where its largest loading is positive, so that the picture is never
    mirrored. An axis along which nothing varies is 0.

    Raises:
        AttnlibError: numbers are not finite.
    """
    points, shares = _components(embeddings, 2)
    return Projection(points, (float(shares[0]), float(shares[1])))


def missing(method: Method) -> str:
    """What to install for a method, in a sentence; "" where nothing is missing."""
    if method == "pca":
        return ""
    module, package = _LIBRARIES[method]
    if find_spec(module) is not None:
        return ""
    return (
        f"{METHODS[method]} needs the library {package}, which is not installed where this runs. "
        f"Install it with “python -m pip install {package}”, or choose PCA."
    )


def _components(
    embeddings: NDArray[np.floating], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components ``(n, count)`` and their shares of the variance ``(count,)``."""
    centred = np.asarray(embeddings, np.float64)
    if not np.isfinite(centred).all():
        raise AttnlibError(
            "Some embeddings hold numbers that are not finite, so the images have no place in "
            "one picture. The model's weights or the preprocessing are to be checked."
        )
    n, d = centred.shape
    points, shares = np.zeros((n, count)), np.zeros(count)
    if n < 2 or d == 0:
        return points, shares
    centred = centred - centred.mean(axis=0)
    total = float((centred**2).sum())
    found = min(count, n, d)
    if total == 0.0:
        return points, shares
    # The smaller of the two products has the same eigenvalues, and costs less.
    if d <= n:
        values, axes = _largest(centred.T @ centred, found)
    else:
        values, sides = _largest(centred @ centred.T, found)
        axes = centred.T @ sides
        axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(found)])
    # What is left of an axis without variance is rounding, which would be stretched to a pattern.
    real = values > total * 1e-12
    points[:, :found] = (centred @ axes) * real
    shares[:found] = np.where(real, values, 0.0) / total
    return points, shares


def _largest(
    product: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The largest eigenvalues of a symmetric matrix, descending, and their vectors as columns."""
    size = len(product)
    values, vectors = eigh(product, subset_by_index=(size - count, size - 1))
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1].copy()


def _tsne(reduced: NDArray[np.float64]) -> NDArray[np.floating]:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(reduced) - 1) / 3)
    # Its threads wait for each other by spinning: beside other work two took 38 s, one 0.2 s.
    with threadpool_limits(1, user_api="openmp"):
        made: NDArray[np.floating] = TSNE(
            perplexity=perplexity, init="pca", random_state=_SEED
        ).fit_transform(reduced)
    return made


def _umap(reduced: NDArray[np.float64]) -> NDArray[np.floating]:
    from umap import UMAP

    neighbours = min(15, len(reduced) - 1)
    # With a seed it runs in one thread, and says so each time unless one thread is asked for.
    made: NDArray[np.floating] = UMAP(
        n_neighbors=neighbours, init="pca", random_state=_SEED, n_jobs=1
    ).fit_transform(reduced)
    return made


_ARRANGE: dict[str, Callable[[Any], NDArray[np.floating]]] = {"tsne": _tsne, "umap": _umap}
