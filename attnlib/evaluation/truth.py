"""How right a model is on labelled images: one class for each, or any number of labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from torch import Tensor

from attnlib.capture.outputs import Outputs

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """What became of n images.

    Attributes:
        right: ``(n,)``, whether the most probable class is the label; of independent labels,
            whether all are found and no other.
        confidence: ``(n,)``, the probability of the most probable class; of independent labels
            the mean probability of what is said of each.
        loss: ``(n,)``, minus the logarithm of the label's probability in nats, or the mean
            binary cross-entropy, at the temperature that suits all images best: mere doubt, which
            lowers the loss of a model that is too sure of itself, is then no gain.
    """

    right: NDArray[np.bool_]
    confidence: Array
    loss: Array


def score(
    outputs: Outputs,
    logits: Tensor,
    labels: Sequence[int | Collection[int]],
    threshold: float = 0.5,
) -> Score:
    """How right the logits ``(n, L)`` are.

    Args:
        labels: of each image its class, or where labels are independent those that it has.
        threshold: from which probability on an independent label counts as predicted.
    """
    shares: Array = outputs.probabilities(logits.double()).numpy()
    if outputs.kind == "labels":
        return _independent(logits.double().numpy(), shares, labels, threshold)
    true = np.asarray(labels, dtype=np.int64)
    rows, logs = np.arange(len(true)), np.log(shares.clip(1e-30))

    def losses(sharpness: float) -> Array:
        scaled = logs * sharpness
        lost: Array = special.logsumexp(scaled, axis=1) - scaled[rows, true]
        return lost

    return Score(shares.argmax(axis=1) == true, shares.max(axis=1), _calibrated(losses))


def _independent(
    logits: Array, shares: Array, labels: Sequence[int | Collection[int]], threshold: float
) -> Score:
    has = np.zeros(shares.shape, dtype=bool)
    for row, found in enumerate(labels):
        has[row, [found] if isinstance(found, int) else list(found)] = True
    said = shares >= threshold
    signed = np.where(has, -logits, logits)

    def losses(sharpness: float) -> Array:
        lost: Array = np.logaddexp(0, signed * sharpness).mean(axis=1)
        return lost

    sure: Array = np.where(said, shares, 1 - shares).mean(axis=1)
    return Score((said == has).all(axis=1), sure, _calibrated(losses))


def _calibrated(losses: Callable[[float], Array]) -> Array:
    """The losses ``(n,)`` at the temperature that lowers their mean most."""
    found = optimize.minimize_scalar(
        lambda s: losses(math.exp(s)).mean(), bounds=(-5, 3), method="bounded"
    )
    return losses(math.exp(float(found.x)))
