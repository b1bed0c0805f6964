"""What a model said about one image, and whether it was right.

A prediction without a label is neither right nor wrong: it counts as an image, and nowhere else.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from attnlib.capture.outputs import Kind

# In the order in which `order` puts them.
Outcome = Literal["wrong", "unlabelled", "right"]

_SMALLEST = float(np.finfo(np.float32).tiny)
# A float32 nearer to 1 than this is 1.
_NEAR_ONE = 2.0**-25


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model said about one image.

    Attributes:
        name: file name, unique in the collection.
        label: index of the true class, None when unknown. Of independent labels, the true one
            that a page sets beside `predicted`: it is found, not given.
        probabilities: `(C,)` float32 in [0, 1]; any numbers where `kind` has no classes.
        attention_entropy: mean entropy of the readout rows, in units of log N, 0 to 1.
        kind: what the outputs mean; see `attnlib.capture.outputs`.
        true: the labels that the image has, where labels are independent; None when unknown.
        threshold: from which probability on an independent label is predicted.

    Raises:
        ValueError: the probabilities are no vector in [0, 1], or a label is not below C.
    """

    name: str
    label: int | None
    probabilities: NDArray[np.float32]
    attention_entropy: float
    kind: Kind = "classes"
    true: frozenset[int] | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        p = self.probabilities
        if p.ndim != 1 or p.size == 0:
            raise ValueError(f"probabilities must be a vector (C,), not {p.shape}")
        # Softmax in float32 may exceed 1 by a rounding error. NaN fails this comparison too.
        if self.classifies and not ((p >= 0) & (p <= 1 + 1e-4)).all():
            raise ValueError("probabilities must be in [0, 1]")
        if self.kind == "labels":
            object.__setattr__(self, "label", self._label_to_compare())
        elif self.true is None and self.label is not None and self.classifies:
            object.__setattr__(self, "true", frozenset({self.label}))
        for label in self.true or ():
            if not 0 <= label < p.size:
                raise ValueError(f"label {label} is not one of {p.size} classes")

    @property
    def classifies(self) -> bool:
        """Whether the outputs are probabilities of classes or labels."""
        return self.kind in ("classes", "labels", "binary")

    @cached_property
    def said(self) -> frozenset[int]:
        """The classes predicted: one of exclusive ones, any number of independent labels."""
        if self.kind == "labels":
            found = np.flatnonzero(self.probabilities >= self.threshold)
            return frozenset(int(index) for index in found)
        return frozenset({self.predicted}) if self.classifies else frozenset()

    @property
    def missed(self) -> frozenset[int]:
        """True labels that were not predicted."""
        return (self.true or frozenset()) - self.said

    @property
    def extra(self) -> frozenset[int]:
        """Predicted labels that are not true; empty without a label."""
        return frozenset() if self.true is None else self.said - self.true

    @cached_property
    def predicted(self) -> int:
        """The most probable class, the first of equals.

        Of independent labels the surest that is predicted and not true; where there is none, the
        surest predicted one; where nothing is predicted, the most probable that is not true.
        """
        if self.kind != "labels":
            return int(self.probabilities.argmax())
        rest = set(range(self.probabilities.size)) - (self.true or frozenset())
        return self._most_probable(self.extra or self.said or rest or self.true or ())

    @cached_property
    def confidence(self) -> float:
        """The probability of the predicted class; NaN without classes.

        Of independent labels, the probability of what was said of one of them: of the surest
        mistake, or where there is none, of the least sure label.
        """
        if self.kind != "labels":
            return float(self.probabilities.max()) if self.classifies else math.nan
        sure = self._sure
        wrong = self.missed | self.extra
        return max(sure[i] for i in wrong) if wrong else min(sure)

    @cached_property
    def margin(self) -> float:
        """The largest probability minus the second largest, which is 0 if there is one class.

        Of independent labels, the distance of the nearest one from the threshold; NaN without
        classes.
        """
        if not self.classifies:
            return math.nan
        if self.kind == "labels":
            return float(np.abs(self.probabilities.astype(np.float64) - self.threshold).min())
        if self.probabilities.size == 1:
            return self.confidence
        second, first = np.partition(self.probabilities, -2)[-2:]
        return float(first) - float(second)

    @property
    def probability_true(self) -> float:
        """The probability of `label`; NaN without one or without classes."""
        if self.label is None or not self.classifies:
            return math.nan
        return float(self.probabilities[self.label])

    @property
    def lead(self) -> float:
        """How far the predicted class is ahead of the true one; NaN without a label.

        Of independent labels, how far the surest mistake is on the wrong side of the threshold.
        """
        if self.true is None or not self.classifies:
            return math.nan
        if self.kind == "labels":
            wrong = self.missed | self.extra
            off = [abs(float(self.probabilities[i]) - self.threshold) for i in wrong]
            return max(off, default=0.0)
        return float(self.probabilities[self.predicted]) - self.probability_true

    @cached_property
    def outcome(self) -> Outcome:
        """Whether the label was predicted, and of independent ones all and no other."""
        if self.true is None:
            return "unlabelled"
        return "right" if self.true == self.said else "wrong"

    @property
    def wrong(self) -> bool:
        """The label is known and another class was predicted."""
        return self.outcome == "wrong"

    @property
    def loss(self) -> float | None:
        """-log(probability of the true class) in nats, at most 87.4; None without a label.

        Of independent labels the mean binary cross-entropy, as `torch.nn.BCEWithLogitsLoss`.
        """
        if self.true is None:
            return None
        if self.kind == "labels":
            p = self.probabilities.astype(np.float64)
            hit = np.isin(np.arange(p.size), list(self.true))
            right = np.where(hit, np.maximum(p, _SMALLEST), np.maximum(1 - p, _NEAR_ONE))
            return float(-np.log(np.minimum(right, 1)).mean())
        share = max(float(self.probabilities[next(iter(self.true))]), _SMALLEST)
        return math.log(1 / min(1.0, share))

    def top(self, k: int) -> list[tuple[int, float]]:
        """The k most probable classes (index, probability), by index among equals."""
        p, k = self.probabilities, min(max(k, 0), self.probabilities.size)
        # Those that can be among them are few, and sorting all takes longer than the rest.
        may = np.flatnonzero(p >= np.partition(p, -k)[-k]) if k else np.arange(0)
        order = may[np.argsort(-p[may], kind="stable")][:k]
        return [(int(index), float(self.probabilities[index])) for index in order]

    def _label_to_compare(self) -> int | None:
        """The surest miss; else the most probable true label, if anything is said or true."""
        if not self.true:
            return None
        if self.missed:
            return min(self.missed, key=lambda i: (self.probabilities[i], i))
        return self._most_probable(self.true) if self.extra else self.predicted

    def _most_probable(self, labels: "frozenset[int] | set[int] | tuple[int, ...]") -> int:
        return max(labels, key=lambda i: (self.probabilities[i], -i))

    @cached_property
    def _sure(self) -> list[float]:
        """Of each independent label, the probability of what was said of it."""
        p = self.probabilities.astype(np.float64)
        return [float(v) for v in np.where(p >= self.threshold, p, 1 - p)]
