"""How likely labels are right by a model's probabilities, as Cleanlab defines it.

C. Northcutt, L. Jiang, I. Chuang, "Confident Learning" (JAIR 70, 2021), and `cleanlab.rank` and
`cleanlab.count` of version 2.9. Scores lie from 0 to 1; a low one says that the label is doubtful.
The probabilities must be of a model that was not trained on these labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError

Array = NDArray[np.float64]
Labels = NDArray[np.integer]
# Where a logarithm or a quotient begins, and what a threshold forgives, as in Cleanlab.
_LEAST = 1e-6
# Of a class without images: nobody is so sure.
_NEVER = 2.0


def self_confidence(labels: Labels, probabilities: NDArray[np.floating]) -> Array:
    """The probability of the label, ``(n,)`` of labels ``(n,)`` and probabilities ``(n, C)``.

    Raises:
        AttnlibError: they do not fit together, or are no probabilities.
    """
    shares = _checked(labels, probabilities)
    return np.asarray(shares[np.arange(len(labels)), labels])


def normalized_margin(labels: Labels, probabilities: NDArray[np.floating]) -> Array:
    """(p of the label - largest p of another class + 1) / 2, ``(n,)``.

    Raises:
        AttnlibError: as :func:`self_confidence`.
    """
    shares = _checked(labels, probabilities).copy()
    places = np.arange(len(labels))
    own = shares[places, labels].copy()
    shares[places, labels] = -np.inf
    return np.asarray((own - shares.max(axis=1) + 1) / 2)


def margin_of_parts(
    probability_true: NDArray[np.floating],
    confidence: NDArray[np.floating],
    margin: NDArray[np.floating],
    wrong: NDArray[np.bool_],
) -> Array:
    """:func:`normalized_margin` of the columns that every audit has, ``(n,)``.

    Of a mistake the largest other probability is that of the prediction; of a right image it is
    less than the label's by the margin.
    """
    true, said, apart = (np.asarray(one, float) for one in (probability_true, confidence, margin))
    other = np.where(wrong, said, said - apart)
    return np.asarray((true - other + 1) / 2)


def weighted_entropy(labels: Labels, probabilities: NDArray[np.floating]) -> Array:
    """Confidence-weighted entropy w = H(p) / log C / p of the label, as log(1 + w) / w, ``(n,)``.

    Raises:
        AttnlibError: as :func:`self_confidence`.
    """
    shares = _checked(labels, probabilities)
    logs = np.log(np.clip(shares, np.finfo(float).tiny, None))
    entropy = -(shares * logs).sum(axis=1) / np.log(shares.shape[1])
    weighted = entropy / np.maximum(self_confidence(labels, shares), _LEAST)
    return np.asarray(np.log1p(weighted) / np.maximum(weighted, _LEAST))


def confident_joint(labels: Labels, probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """How many images labelled i are surely of class j, ``(C, C)``; at least 1 on the diagonal.

    An image is surely of the likeliest class whose probability reaches the mean self-confidence
    of the images with that label.

    Raises:
        AttnlibError: as :func:`self_confidence`.
    """
    shares = _checked(labels, probabilities)
    sure, guess = _sure(labels, shares)
    found = np.zeros((shares.shape[1], shares.shape[1]), np.int64)
    np.add.at(found, (np.asarray(labels)[sure], guess[sure]), 1)
    diagonal = np.arange(len(found))
    found[diagonal, diagonal] = np.maximum(found[diagonal, diagonal], 1)
    return found


def issues(labels: Labels, probabilities: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which labels are probably wrong, ``(n,)``: surely of another class, which is predicted too.

    Their number is Cleanlab's ``num_label_issues`` ("off_diagonal").

    Raises:
        AttnlibError: as :func:`self_confidence`.
    """
    shares = _checked(labels, probabilities)
    sure, guess = _sure(labels, shares)
    favoured = shares.copy()
    favoured[np.arange(len(labels)), labels] += _LEAST
    return np.asarray(sure & (guess != labels) & (favoured.argmax(axis=1) != labels))


def _sure(labels: Labels, shares: Array) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Which images surely are of some class, and of which, ``(n,)`` each."""
    thresholds = np.array(
        [shares[labels == c, c].mean() if (labels == c).any() else _NEVER
         for c in range(shares.shape[1])]
    )  # fmt: skip
    reached = shares >= np.maximum(thresholds, 2 * _LEAST) - _LEAST
    several = reached.sum(axis=1) > 1
    return reached.any(axis=1), np.where(several, shares.argmax(axis=1), reached.argmax(axis=1))


def _checked(labels: Labels, probabilities: NDArray[np.floating]) -> Array:
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim != 2 or len(shares) != len(labels) or shares.shape[1] < 2:
        raise AttnlibError(
            f"Scores of labels need a probability of each of several classes for each image; got "
            f"{shares.shape} for {len(labels)} labels."
        )
    if len(labels) and not (np.min(labels) >= 0 and np.max(labels) < shares.shape[1]):
        raise AttnlibError("A label is none of the classes that there are probabilities of.")
    sums = shares.sum(axis=1)
    if not np.isfinite(shares).all() or (shares < 0).any() or (np.abs(sums - 1) > 1e-2).any():
        raise AttnlibError(
            "These are no probabilities: of each image they must be 0 or more and sum to 1."
        )
    return shares
