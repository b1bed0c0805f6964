"""What a model said about one image, and whether it was right.

A prediction without a label is neither right nor wrong: it counts as an image, and nowhere else.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# In the order in which `order` puts them.
Outcome = Literal["wrong", "unlabelled", "right"]

_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model said about one image.

    Attributes:
        name: file name, unique in the collection.
        label: index of the true class, None when unknown.
        probabilities: `(C,)` float32 in [0, 1].
        attention_entropy: mean entropy of the readout rows, in units of log N, 0 to 1.

    Raises:
        ValueError: the probabilities are no vector in [0, 1], or the label is not below C.
    """

    name: str
    label: int | None
    probabilities: NDArray[np.float32]
    attention_entropy: float

    def __post_init__(self) -> None:
        p = self.probabilities
        if p.ndim != 1 or p.size == 0:
            raise ValueError(f"probabilities must be a vector (C,), not {p.shape}")
        # Softmax in float32 may exceed 1 by a rounding error. NaN fails this comparison too.
        if not ((p >= 0) & (p <= 1 + 1e-4)).all():
            raise ValueError("probabilities must be in [0, 1]")
        if self.label is not None and not 0 <= self.label < p.size:
            raise ValueError(f"label {self.label} is not one of {p.size} classes")

    @cached_property
    def predicted(self) -> int:
        """The most probable class, the first of equals."""
        return int(self.probabilities.argmax())

    @cached_property
    def confidence(self) -> float:
        """The probability of the predicted class."""
        return float(self.probabilities.max())

    @cached_property
    def margin(self) -> float:
        """The largest probability minus the second largest, which is 0 if there is one class."""
        if self.probabilities.size == 1:
            return self.confidence
        second, first = np.partition(self.probabilities, -2)[-2:]
        return float(first) - float(second)

    @property
    def outcome(self) -> Outcome:
        """Whether the label was predicted, if there is one."""
        if self.label is None:
            return "unlabelled"
        return "right" if self.label == self.predicted else "wrong"

    @property
    def wrong(self) -> bool:
        """The label is known and another class was predicted."""
        return self.outcome == "wrong"

    @property
    def loss(self) -> float | None:
        """-log(probability of the true class) in nats, at most 87.4; None without a label."""
        if self.label is None:
            return None
        return math.log(1 / min(1.0, max(float(self.probabilities[self.label]), _SMALLEST)))

    def top(self, k: int) -> list[tuple[int, float]]:
        """The k most probable classes (index, probability), by index among equals."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(k, 0)]
        return [(int(index), float(self.probabilities[index])) for index in order]
