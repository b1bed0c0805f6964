"""What a model's outputs mean: classes that exclude each other, labels, one logit, or no class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Kind = Literal["classes", "labels", "binary", "regression", "features"]
KINDS: tuple[Kind, ...] = get_args(Kind)

TITLE: dict[Kind, str] = {
    "classes": "classes that exclude each other (softmax)",
    "labels": "independent labels (sigmoid)",
    "binary": "one logit for two classes (sigmoid)",
    "regression": "numbers, no classes",
    "features": "features, no classes",
}


@dataclass(frozen=True)
class Outputs:
    """How logits become what a person reads.

    Attributes:
        kind: ``"classes"`` (softmax), ``"labels"`` (a sigmoid each), ``"binary"`` (one logit,
            the sigmoid of which is the probability of the second of two classes),
            ``"regression"`` or ``"features"`` (numbers that are no probabilities).
        source: what says so, in words.
        threshold: from which probability on an independent label counts as predicted.
    """

    kind: Kind = "classes"
    source: str = "the number of logits"
    threshold: float = 0.5

    @property
    def title(self) -> str:
        """The kind in words."""
        return TITLE[self.kind]

    @property
    def classifies(self) -> bool:
        """Whether outputs stand for classes or labels, so that there are probabilities."""
        return self.kind in ("classes", "labels", "binary")

    def names(self, logits: int) -> int:
        """How many names there are for a number of logits: two for one logit of two classes."""
        return 2 if self.kind == "binary" else logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to ``(..., C)`` probabilities; numbers as they are, where no class.

        Compare transformers' image-classification pipeline.
        """
        if self.kind == "classes":
            return logits.softmax(dim=-1)
        if self.kind == "labels":
            return logits.sigmoid()
        if self.kind == "binary":
            return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=-1)
        return logits

    def scores(self, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to the ``(..., C)`` that a class's map explains.

        The logit itself; with one logit z, z for the second class and -z for the first.
        """
        return torch.cat([-logits, logits], dim=-1) if self.kind == "binary" else logits
