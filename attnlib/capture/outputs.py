"""What a model's outputs mean: classes that exclude each other, labels, one logit, or no class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Kind = Literal["classes", "labels", "binary", "regression", "features"]
KINDS: tuple[Kind, ...] = get_args(Kind)

TITLE: dict[Kind, str] = {
    "classes": "exclusive classes (softmax)",
    "labels": "independent labels (a sigmoid each)",
    "binary": "one logit, two classes (sigmoid)",
    "regression": "regression (numbers, no classes)",
    "features": "features (no classes)",
}


@dataclass(frozen=True)
class Outputs:
    """How logits become what a person reads.

    Attributes:
        kind: ``"classes"`` (softmax), ``"labels"`` (a sigmoid each), ``"binary"`` (one logit,
            the sigmoid of which is the probability of the second of two classes),
            ``"regression"`` or ``"features"`` (numbers that are no probabilities).
        source: what says so, in words.
        question: what nothing says and a person should confirm, as a sentence; "" for nothing.
    """

    kind: Kind = "classes"
    source: str = "the number of outputs"
    question: str = ""

    @property
    def title(self) -> str:
        """The kind in words."""
        return TITLE[self.kind]

    @property
    def classifies(self) -> bool:
        """Whether outputs stand for classes or labels, so that there are probabilities."""
        return self.kind in ("classes", "labels", "binary")

    @property
    def quantity(self) -> str:
        """What the numbers of :meth:`probabilities` are, in a word."""
        return "probability" if self.classifies else "output"

    def shown(self, value: float) -> str:
        """A number of :meth:`probabilities` as text: in per cent, or as it is without classes."""
        return f"{value:.1%}" if self.classifies else f"{value:.4g}"

    def names(self, logits: int) -> int:
        """How many names there are for a number of logits: two for one logit of two classes."""
        return 2 if self.kind == "binary" else logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to ``(..., C)`` probabilities; the numbers as they are, if no class.

        As transformers' image-classification pipeline scores them; of one logit it gives the
        second class only.
        """
        if self.kind == "classes":
            return logits.softmax(dim=-1)
        if self.kind == "labels":
            return logits.sigmoid()
        if self.kind == "binary":
            return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=-1)
        return logits

    def scores(self, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to the ``(..., C)`` numbers that the maps of classes explain.

        The logit itself; of one logit z, -z for the first class and z for the second.
        """
        return torch.cat([-logits, logits], dim=-1) if self.kind == "binary" else logits

    def margins(self, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to ``(..., C)`` numbers whose differences are the classes' log-odds.

        The logits themselves; of one logit z, 0 for the first class and z for the second.
        """
        if self.kind == "binary":
            return torch.cat([torch.zeros_like(logits), logits], dim=-1)
        return logits
