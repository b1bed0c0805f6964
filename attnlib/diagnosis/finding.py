"""One thing that is wrong, in words, with the evidence for it and against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Scope = Literal["image", "set", "model"]


@dataclass(frozen=True)
class Certainty:
    """How sure a finding is.

    Attributes:
        p_value: probability of a value as large by chance alone, corrected for the number of
            things tried, 0 to 1; None where an interval says it.
        interval: 95 % interval of the finding's value; None where a p-value says it.
        tried: how many things were tried before this one was announced, at least 1.
    """

    p_value: float | None = None
    interval: tuple[float, float] | None = None
    tried: int = 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        interval = None if self.interval is None else list(self.interval)
        return {"p_value": self.p_value, "interval": interval, "tried": self.tried}


@dataclass(frozen=True)
class Evidence:
    """One thing that was measured.

    Attributes:
        sentence: what was done and what came of it, with the numbers.
        images: names of images that show it; the first ones show it best.
        region: ``(rows, cols)`` bool, where in them; None if it is no place.
    """

    sentence: str
    images: tuple[str, ...] = ()
    region: NDArray[np.bool_] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sentence": self.sentence,
            "images": list(self.images),
            "region": None if self.region is None else self.region.astype(int).tolist(),
        }


@dataclass(frozen=True, eq=False)
class Finding:
    """What is wrong with an image, a set or a model.

    Attributes:
        kind: one word, as in :data:`attnlib.diagnosis.FINDERS`.
        scope: of what it speaks.
        sentence: the finding with its numbers, one sentence.
        value: the number that was compared with the threshold.
        threshold: from which value on it is announced.
        threshold_source: where the threshold comes from.
        evidence: what speaks for it.
        evidence_against: what was tried and did not change the prediction, or speaks against it.
        certainty: how sure it is.
        next_steps: what to do about it.
        mistakes: how many mistakes it accounts for; the most costly finding comes first.
        classes: the class a shortcut makes; the exchanged classes; (true, labelled) of label noise.
        region: ``(rows, cols)`` bool, the patches concerned; None if it is no place.
        images: names of the images concerned, most certain first.
        layer, heads: of heads, both counted from 0.
        detail: what only this kind has; values are JSON.
    """

    kind: str
    scope: Scope
    sentence: str
    value: float
    threshold: float
    threshold_source: str
    evidence: tuple[Evidence, ...]
    evidence_against: tuple[Evidence, ...]
    certainty: Certainty
    next_steps: str
    mistakes: int = 0
    classes: tuple[int, ...] = ()
    region: NDArray[np.bool_] | None = None
    images: tuple[str, ...] = ()
    layer: int | None = None
    heads: tuple[int, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "kind": self.kind,
            "scope": self.scope,
            "sentence": self.sentence,
            "value": self.value,
            "threshold": self.threshold,
            "threshold_source": self.threshold_source,
            "evidence": [one.to_dict() for one in self.evidence],
            "evidence_against": [one.to_dict() for one in self.evidence_against],
            "certainty": self.certainty.to_dict(),
            "next_steps": self.next_steps,
            "mistakes": self.mistakes,
            "classes": list(self.classes),
            "region": None if self.region is None else self.region.astype(int).tolist(),
            "images": list(self.images),
            "layer": self.layer,
            "heads": list(self.heads),
            "detail": dict(self.detail),
        }
