"""What a prediction decides between: exclusive classes, or whether one label is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib.capture.outputs import Outputs
from attnlib.errors import CaptureError

# The two sides of a decision about one independent label.
ABSENT, PRESENT = 0, 1


@dataclass(frozen=True)
class Decision:
    """The decision that removing heads is asked to turn.

    Attributes:
        true: what is right: a class, or of an independent label ``ABSENT`` or ``PRESENT``; None
            where that is not known.
        label: which independent label is decided about; None among exclusive classes.
        threshold: from which probability on that label is present.
    """

    true: int | None = None
    label: int | None = None
    threshold: float = 0.5

    def margins(self, outputs: Outputs, logits: Tensor) -> Tensor:
        """``(..., L)`` logits to ``(..., C)`` numbers, the largest of which decides.

        Their differences are log-odds. About one label C is 2: the threshold's own logit, and
        the label's.

        Raises:
            CaptureError: the model's outputs are numbers, which decide nothing.
        """
        if not outputs.classifies:
            raise CaptureError(
                f"This model's outputs are {outputs.title}, so there is no prediction that a "
                "head could turn."
            )
        if outputs.kind != "labels":
            return outputs.margins(logits)
        label = logits[..., self.label or 0]
        bar = torch.full_like(label, math.log(self.threshold / (1 - self.threshold)))
        return torch.stack([bar, label], dim=-1)
