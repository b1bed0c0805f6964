"""Labelled images under one preparation after the other, and whether one is better by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor

from attnlib.diagnosis import chance, probes
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.probes import Changes
from attnlib.evaluation.paired import mcnemar
from attnlib.evaluation.truth import Score, score
from attnlib.methods.base import Progress

# About how many are tried.
PASSES = 24


@dataclass(frozen=True)
class Tried:
    """A preparation and what became of the images."""

    changes: Changes
    score: Score

    @property
    def rank(self) -> tuple[int, float]:
        """More is better."""
        return int(self.score.right.sum()), -float(self.score.loss.mean())


class Trial:
    """Labelled images under one preparation after the other."""

    def __init__(
        self, examined: Examined, places: NDArray[np.int64], count: int, progress: Progress
    ) -> None:
        self.places, self.vit = places, examined.vit
        self.labels = examined.labels[places]
        self.images: list[Image.Image] = [examined.images[i] for i in places]
        logits = np.stack([examined.records[i].logits for i in places])
        self.now = Tried({}, self._scored(torch.from_numpy(logits)))
        self.count = count
        self._progress = progress

    def _scored(self, logits: Tensor) -> Score:
        return score(self.vit.outputs, logits, [int(label) for label in self.labels])

    def plain(self, changes: Changes) -> list[Tensor]:
        """The images, resized."""
        return probes.resized(self.vit, self.images, changes)

    def tried(self, changes: Changes, plain: Sequence[Tensor]) -> Tried:
        """The images under a preparation."""
        self.count += 1
        self._progress(min(self.count, PASSES), PASSES)
        return Tried(changes, self._scored(probes.logits(self.vit, plain, changes)))

    def p_value(
        self, other: Tried, among: NDArray[np.bool_] | None = None, than: Tried | None = None
    ) -> float:
        """That another one is no better, corrected for all that were tried if it was chosen so.

        The smaller one of McNemar's exact test of the images that change sides and Wilcoxon's
        signed-rank test of the losses, for the two of them.

        Args:
            among: which images; all if None.
            than: what it is compared with; the present one if None.
        """
        base = (than or self.now).score
        chosen = np.ones(len(self.labels), dtype=bool) if among is None else among
        right, before = other.score.right[chosen], base.right[chosen]
        gained, lost = int((right & ~before).sum()), int((before & ~right).sum())
        difference = (base.loss - other.score.loss)[chosen]
        p = mcnemar(gained, lost) if gained > lost else 1.0
        if difference.any():
            p = min(p, float(stats.wilcoxon(difference, alternative="greater").pvalue))
        return chance.corrected(2 * p, self.count if among is None and than is None else 1)
