"""What a model says of many changed pictures, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.methods.base import Progress
from attnlib.model import running
from attnlib.model.vit import Vit

BATCH_SIZE = 32


def ask(
    vit: Vit, pictures: Iterable[Image.Image], count: int, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Probabilities ``(n, C)`` of pictures, of which a batch is in memory at a time.

    Args:
        count: how many there are, for ``progress``.
        progress: called with (pictures done, pictures); what it raises ends it.

    Raises:
        ModelError: the model does not run on one of them.
        OutOfMemory: the device ran out of memory.
    """
    found: list[NDArray[np.float64]] = []
    done = 0
    queue = iter(pictures)
    while part := list(islice(queue, BATCH_SIZE)):
        logits = running.logits(vit, [vit.pixels(picture) for picture in part])
        found.append(vit.outputs.probabilities(logits).numpy())
        done += len(part)
        if progress is not None:
            progress(done, count)
    return np.concatenate(found) if found else np.zeros((0, len(vit.class_names)))


def some(places: Sequence[int] | NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """At most so many of some places, drawn at random, the same ones each time, in their order."""
    given = np.asarray(places, dtype=np.intp)
    if len(given) <= most:
        return given
    return np.sort(np.random.default_rng(0).choice(given, most, replace=False))
