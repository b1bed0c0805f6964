"""How far an image lies from the others of its set, by what the model makes of it.

Both scores compare with the set alone: an image is unusual beside these others, not in itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from attnlib.diagnosis.examined import Examined
from attnlib.errors import AttnlibError

Array = NDArray[np.float64]
# Images that a score is compared with are not those that it was made from.
FOLDS = 5
FEWEST = 10


@dataclass(frozen=True)
class Unusual:
    """Two scores of every image of a set; more is farther out.

    Attributes:
        energy: ``(n,)``, −log Σ exp(logit): the model is sure of nothing (Liu et al., NeurIPS
            2020). NaN for outputs that are not exclusive classes.
        distance: ``(n,)``, squared Mahalanobis distance of the embedding to the nearest class
            (Lee et al., NeurIPS 2018), from the means and the common covariance of the other
            images.
    """

    energy: Array
    distance: Array

    def rank(self, place: int) -> tuple[float, float]:
        """The shares of the set that are at most as far out as one image, by either score."""
        energy = float((self.energy <= self.energy[place]).mean())
        return energy, float((self.distance <= self.distance[place]).mean())


def unusual(examined: Examined) -> Unusual:
    """The scores of all images.

    Raises:
        AttnlibError: there are too few images to compare with.
    """
    count = len(examined.names)
    if count < FEWEST:
        raise AttnlibError(
            f"Whether an image is unusual shows beside others: load {FEWEST} images or more; "
            f"these are {count}."
        )
    energy = np.full(count, np.nan)
    if examined.classifies:
        logits = np.stack([record.logits for record in examined.records]).astype(np.float64)
        energy = -logsumexp(logits, axis=1)
    classes = np.where(examined.labelled, examined.labels, examined.predicted)
    return Unusual(energy, distances(examined.embeddings, classes))


def distances(embeddings: Array, classes: NDArray[np.int64]) -> Array:
    """``(n,)`` squared Mahalanobis distances to the nearest class.

    Each fold of images is compared with the means and the covariance of the others.

    Args:
        embeddings: ``(n, D)``.
        classes: ``(n,)``, of each image.
    """
    fold = np.random.default_rng(0).permutation(len(classes)) % FOLDS
    found = np.empty(len(classes))
    for turn in range(FOLDS):
        mine = fold == turn
        means, precision = _fitted(embeddings[~mine], classes[~mine])
        apart = embeddings[mine][:, None, :] - means
        squared = np.einsum("ncd,de,nce->nc", apart, precision, apart)
        found[mine] = squared.min(axis=1)
    return found


def _fitted(embeddings: Array, classes: NDArray[np.int64]) -> tuple[Array, Array]:
    """Class means ``(C', D)``, and the inverse ``(D, D)`` of the covariance about them.

    The covariance is shrunk towards a multiple of the identity (OAS, Chen et al. 2010): there are
    fewer images than dimensions.
    """
    names, places = np.unique(classes, return_inverse=True)
    means = np.stack([embeddings[classes == name].mean(axis=0) for name in names])
    centred = embeddings - means[places]
    count, width = centred.shape
    covariance = centred.T @ centred / count
    mean = float(np.trace(covariance)) / width
    power = float((covariance**2).mean())
    bottom = (count + 1) * (power - mean**2 / width)
    shrinkage = 1.0 if bottom <= 0 else min((power + mean**2) / bottom, 1.0)
    target = np.eye(width) * max(mean, np.finfo(np.float64).tiny)
    return means, np.linalg.pinv((1 - shrinkage) * covariance + shrinkage * target, hermitian=True)
