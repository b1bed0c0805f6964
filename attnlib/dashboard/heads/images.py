"""What all heads attend to on one image or on many, and which images a section is about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.capture.record import Record
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state import results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.results import Inspected
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.model.vit import Vit

ONE, ALL = "This image", "All images"
BATCH = 8


def scope(space: Workspace, prediction: Prediction) -> tuple[Sample, ...]:
    """The images that a section is about: the chosen one or all, as the visitor says."""
    chosen = controls.segments(
        "heads_scope",
        "Images",
        [ONE, ALL],
        help="Look at the chosen image alone, or average over all images that are loaded.",
    )
    return space.samples if chosen == ALL else (space.by_name[prediction.name],)


def key(space: Workspace, samples: tuple[Sample, ...]) -> tuple[ModelChoice, tuple[str, ...]]:
    """Names the model and the images, for results that depend on both."""
    return space.choice, tuple(sample.sha256 for sample in samples)


def inspected(
    choice: ModelChoice, vit: Vit, samples: tuple[Sample, ...], progress: Progress
) -> Iterator[tuple[Sample, Inspected]]:
    """Every image that can be read, one batch of them in memory at a time."""
    for start in range(0, len(samples), BATCH):
        progress(start, len(samples))
        batch = list(samples[start : start + BATCH])
        for sample, found in zip(batch, results.inspect(choice, vit, batch), strict=True):
            if isinstance(found, Inspected):
                yield sample, found
    progress(len(samples), len(samples))


def maps_of(record: Record) -> NDArray[np.float32]:
    """``(L·H, 1, N)``: where the query that stands for the prediction looks in each head."""
    return record.cls_rows.reshape(-1, 1, record.layout.patches)
