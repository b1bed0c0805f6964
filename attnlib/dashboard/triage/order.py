"""Which images the gallery shows and in which order: the same on every page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf, YesNo
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters import FILTERS

SORTS: dict[str, audit.SortKey] = {
    "Confidence": "confidence",
    "Margin": "margin",
    "Loss": "loss",
    "Lead over the true class": "lead",
    "Probability of the true class": "probability_true",
    "Entropy of attention": "entropy",
    "File name": "image",
}


@dataclass(frozen=True)
class Shown:
    """What passes the filters, in order.

    Attributes:
        predictions: of the images.
        asked: what was asked for, to tell one gallery from another.
    """

    predictions: list[Prediction]
    asked: tuple[object, ...]

    @property
    def names(self) -> list[str]:
        return [prediction.name for prediction in self.predictions]


def sort() -> None:
    """The controls of the order."""
    controls.choice(
        "gallery_sort",
        "Sort by",
        list(SORTS),
        width=200,
        help=(
            "Wrong predictions come first, then those without a label. Margin: how far the first "
            "class is ahead of the second. Entropy: how evenly the model looks, 1 is everywhere."
        ),
    )
    controls.toggle("gallery_up", "Lowest first", help="The other way round.")


def current(space: Workspace) -> Shown:
    """What the gallery shows by everything that is asked for now."""
    sort = address.value("gallery_sort", "Confidence", OneOf(list(SORTS)), label="Sort by")
    up = address.value("gallery_up", False, YesNo(), label="Lowest first")
    kept = np.ones(len(space.table), dtype=bool)
    asked: list[object] = [sort, up]
    for one in FILTERS:
        value = one.value(space)
        mask = one.keeps(space, value)
        asked.append(tuple(value) if isinstance(value, list) else value)
        if mask is not None:
            kept &= mask
    picked = np.flatnonzero(kept)
    ranked = audit.order(space.table.iloc[picked], SORTS[sort], descending=not up)
    return Shown([space.predictions[picked[i]] for i in ranked], tuple(asked))
