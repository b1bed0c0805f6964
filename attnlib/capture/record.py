"""The small, read-only, per-image result that is cached and passed around."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnlib.capture.outputs import Outputs
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import CaptureError
from attnlib.pictures import markup

Array = NDArray[np.float32]

# Classes that a notebook shows: as many as one reads at a glance.
SHOWN = 5


@dataclass(frozen=True)
class Record:
    """What one forward pass says about one image; well under 1 MB for ViT-B/16.

    Attributes:
        logits: ``(L,)``, one for each class; a single one for two classes.
        probabilities: ``(C,)``, what the logits mean by ``outputs``: a softmax over exclusive
            classes, a sigmoid of each independent label, ``(1 - p, p)`` of one logit; of a model
            without classes they are its numbers as they are.
        embedding: ``(D,)``, the input of the final linear layer (the logits if there is none).
        rows: ``(L, H, T)``, the readout's attention to every token, prefix tokens first;
            each row sums to 1.  L is 0 where the model has no such rows (windowed attention).
        rollout: ``(T,)``, the readout's row of attention rollout (mean heads, no discarding),
            sums to 1; None where rollout is not defined.
        layout: what the tokens are.
        query: the query that stands for the prediction, in words.
        self_check: ``max |A V - output|`` of this image over the layers for the rows above; NaN
            without rows.
        class_names: one name per class; empty where the classes have none.
        outputs: what the logits mean.
    """

    logits: Array
    probabilities: Array
    embedding: Array
    rows: Array
    rollout: Array | None
    layout: TokenLayout
    query: str
    self_check: float
    class_names: tuple[str, ...] = ()
    outputs: Outputs = field(default_factory=Outputs)

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def grid(self) -> tuple[int, int]:
        """``(rows, cols)`` of the patch grid."""
        return self.layout.grid

    @property
    def cls_rows(self) -> Array:
        """``(L, H, N)``: the patch part of ``rows``; the rest of each row is on prefix tokens."""
        return self.rows[:, :, self.rows.shape[2] - self.layout.patches :]

    def row(self, layer: int) -> Array:
        """The readout's attention in one layer, ``(H, T)``; the last where there are fewer.

        Raises:
            CaptureError: the model has no readout that rows of attention could stand for.
        """
        if not len(self.rows):
            raise CaptureError(
                "No row of attention stands for the prediction of this model (seen from: "
                f"{self.query}). Choose a token as the query instead, or occlusion as the method."
            )
        row: Array = self.rows[min(layer, len(self.rows) - 1)]
        return row

    @property
    def predicted(self) -> int:
        """The most probable class or label; of a model without classes, the largest output."""
        return int(self.probabilities.argmax())

    @cached_property
    def entropy(self) -> Array:
        """``(L, H)``: entropy of each patch row, renormalised, in units of log N: 0 to 1.

        0 is all attention on one patch, 1 is the same on every patch.
        """
        return row_entropy(self.cls_rows)

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        arrays = (getattr(self, one.name) for one in fields(self))
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))

    def class_name(self, index: int) -> str:
        """A class in words: its name, or its number where it has none."""
        return self.class_names[index] if self.class_names else f"class {index}"

    def _repr_html_(self) -> str:
        best = self.probabilities.argsort(kind="stable")[::-1][:SHOWN]
        shown = [(self.class_name(int(i)), float(self.probabilities[i])) for i in best]
        if self.outputs.classifies:
            verdict = markup.bars(shown, f"Predicted: {self.class_name(self.predicted)}")
        else:
            numbers = [(name, f"{value:.4g}") for name, value in shown]
            verdict = markup.facts(f"Outputs: {self.outputs.title}", numbers)
        layers, heads, tokens = self.rows.shape
        seen = [
            ("seen from", self.query),
            ("rows of attention", f"{layers} layers x {heads} heads x {tokens} tokens"),
            ("largest |A V - output|", f"{self.self_check:.1e}"),
        ]
        return verdict + markup.facts("Attention", seen if layers else [("rows", "none")])


def row_entropy(rows: Array) -> Array:
    """Entropy over the last axis ``(..., N) -> (...)`` after renormalising, in units of log N."""
    count = rows.shape[-1]
    if rows.size == 0 or count < 2:
        return np.zeros(rows.shape[:-1], dtype=np.float32)
    wide = rows.astype(np.float64)
    share = wide / np.maximum(wide.sum(-1, keepdims=True), np.finfo(np.float64).tiny)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    entropy = -(share * logs).sum(-1) / np.log(count)
    clipped: Array = np.clip(entropy, 0.0, 1.0).astype(np.float32)
    return clipped
