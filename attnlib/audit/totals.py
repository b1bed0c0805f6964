"""How many images of an audit there are, and how many are right."""

from __future__ import annotations

from dataclasses import dataclass

from attnlib.audit.numbers import wilson


@dataclass(frozen=True)
class Totals:
    """How many images there are, by what became of them."""

    images: int
    refused: int
    labelled: int
    right: int

    @property
    def accuracy(self) -> float:
        """Of the labelled images; NaN without any."""
        return self.right / self.labelled if self.labelled else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Of the accuracy, Wilson's 95 %."""
        return wilson(self.right, self.labelled)
