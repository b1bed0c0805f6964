"""Deletion and insertion of many images in one table, with intervals and paired to random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError
from attnlib.evaluation.faithfulness import Faithfulness, quantile

Array = NDArray[np.float64]
Kind = Literal["predicted", "true"]
Outcome = Literal["all", "right", "wrong", "unlabelled"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % t-interval, mean ± t · s / √n; the bounds are NaN for n = 1."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """What many images say of one method.

    Attributes:
        method: name.
        kind: which class was followed, the predicted or the true one.
        outcome: images with a right or a wrong prediction, without a label, or all of them.
        images: n.
        chance: 95 % of the mean gains that one random order for each image would have lie within
            ± this, by the spread of the draws (1.96 √(Σ s² (1 + 1/K)) / n); NaN for one draw.
        deletion, insertion: area under the curve.
        random: area under the curve of random orders, the mean of each image's draws. Deletion
            and insertion have the same, as their random curves mirror each other.
        deletion_gain, insertion_gain: by how much the method is better than random on the same
            image (smaller area for deletion, larger for insertion); positive is better.
    """

    method: str
    kind: Kind
    outcome: Outcome
    images: int
    chance: float
    deletion: Interval
    insertion: Interval
    random: Interval
    deletion_gain: Interval
    insertion_gain: Interval


class Moments:
    """Running mean and spread of vectors ``(V,)``, in memory that does not grow (Welford)."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)

    def add(self, values: Array) -> None:
        self.count += 1
        step = values - self._mean
        self._mean += step / self.count
        self._squares += step * (values - self._mean)

    def intervals(self) -> list[Interval]:
        """One per entry of the vectors."""
        half = np.full_like(self._mean, np.nan)
        if self.count > 1:
            error = np.sqrt(self._squares / (self.count - 1) / self.count)
            half = quantile(self.count - 1) * error
        return [
            Interval(float(m), float(m - h), float(m + h))
            for m, h in zip(self._mean, half, strict=True)
        ]


class Summary:
    """Collects many images, one at a time, into a table. Memory grows with methods only."""

    def __init__(self) -> None:
        self._moments: dict[tuple[str, Kind, Outcome], Moments] = {}

    def add(self, result: Faithfulness, predicted: int, true: int | None = None) -> None:
        """Take in one image.

        A map of a class counts where that class is followed; a map of no class for both kinds.

        Args:
            true: the label; None where there is none, and then only the predicted class counts.

        Raises:
            AttnlibError: the result does not follow one of these classes.
        """
        outcome: Outcome = "unlabelled"
        if true is not None:
            outcome = "right" if predicted == true else "wrong"
        for kind in KINDS:
            followed = predicted if kind == "predicted" else true
            if followed is None:
                continue
            if followed not in result.classes:
                raise AttnlibError(f"The curves of this image do not follow class {followed}.")
            at = result.classes.index(followed)
            draws = result.random_deletion.auc[:, at]
            random = draws.mean()
            spread = draws.var(ddof=1) * (1 + 1 / len(draws)) if len(draws) > 1 else math.nan
            for entry in result.methods:
                if entry.target not in (None, followed):
                    continue
                fall, rise = entry.deletion.auc[at], entry.insertion.auc[at]
                values = np.array([fall, rise, random, random - fall, rise - random, spread])
                parts: tuple[Outcome, ...] = ("all", outcome)
                for part in parts:
                    key = (entry.method, kind, part)
                    self._moments.setdefault(key, Moments(len(values))).add(values)

    def rows(self) -> Iterator[Row]:
        """One row per method, kind and outcome, in the order in which they were met."""
        for (method, kind, outcome), moments in self._moments.items():
            *areas, spread = moments.intervals()
            chance = 1.96 * math.sqrt(spread.mean / moments.count)
            yield Row(method, kind, outcome, moments.count, chance, *areas)
