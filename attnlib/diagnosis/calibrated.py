"""A model's probabilities as the labels of a set bear them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]

# Of two logarithms that differ by more, the smaller is no longer told from 0 by any set.
_FLOOR = 1e-12


def calibrated(probabilities: Array, labels: NDArray[np.int64]) -> Array:
    """The same at the temperature, and with the share of plain errors, that suit the labels best.

    A model is often surer than it is right, and some labels are wrong in any set. Both are found
    by maximum likelihood: ``(1 - e) softmax(s · log p) + e / C``.

    Args:
        probabilities: ``(n, C)``.
        labels: ``(n,)`` class indices.
    """
    logs, classes = np.log(probabilities.clip(_FLOOR)), probabilities.shape[1]
    rows = np.arange(len(labels))

    def mixed(point: Array) -> Array:
        error = special.expit(point[1])
        shares = special.softmax(logs * np.exp(point[0]), axis=1)
        made: Array = (1 - error) * shares + error / classes
        return made

    def loss(point: Array) -> float:
        return float(-np.log(mixed(point)[rows, labels]).mean())

    start = np.array([0.0, special.logit(0.02)])
    bounds = [(-3.0, 1.5), (special.logit(0.002), special.logit(0.9))]
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return mixed(found.x)
