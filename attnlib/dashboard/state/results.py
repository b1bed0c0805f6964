"""Results shared by all visitors: records and maps, keyed by what they were made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.capture.record import Record
from attnlib.dashboard.state.cache import BoundedCache
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.collection import Sample
from attnlib.data.image import decode
from attnlib.methods import Heat, Subject
from attnlib.model.vit import Vit

# A third of the budget each would waste it: records are small, subjects (which hold the
# attention of an image that somebody looks at) are large and few.
_MEGABYTES = int(os.environ.get("ATTNLIB_CACHE_MB", "768"))


T = TypeVar("T")


@dataclass(frozen=True)
class Inspected:
    """One image as one model saw it: its record and the crop, ``(h, w, 3)`` bytes."""

    record: Record
    crop: NDArray[np.uint8]

    @property
    def picture(self) -> Image.Image:
        """The crop as a PIL image."""
        return Image.fromarray(self.crop)

    @property
    def nbytes(self) -> int:
        return self.record.nbytes + self.crop.nbytes


@dataclass(frozen=True)
class Results:
    """Bounded caches of one process."""

    inspected: BoundedCache[Inspected]
    heats: BoundedCache[Heat]
    subjects: BoundedCache[Subject]
    numbers: BoundedCache[Any]


@st.cache_resource(max_entries=1, show_spinner=False)
def store() -> Results:
    """The process's one store."""
    mega = 2**20
    return Results(
        BoundedCache(_MEGABYTES * mega * 5 // 8, lambda value: value.nbytes),
        BoundedCache(_MEGABYTES * mega // 24, lambda value: value.values.nbytes + 1024),
        BoundedCache(_MEGABYTES * mega // 4, _subject_bytes),
        BoundedCache(_MEGABYTES * mega // 24, _array_bytes),
    )


def _array_bytes(value: Any) -> int:
    """Bytes of the arrays in a result, which is a dataclass or an array."""
    parts = [value, *vars(value).values()] if hasattr(value, "__dict__") else [value]
    return 1024 + sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


def _subject_bytes(subject: Subject) -> int:
    """An upper bound for all that a subject may come to hold: queries, keys, values, gradients.

    Six tensors of the width of the model per layer, and the activations that a backward pass
    needs, which are about three times as many.
    """
    shapes = [subject.vit.support.shapes[i] for i in subject.vit.support.calls("layer")]
    width = subject.vit.width
    return subject.pixels.nbytes + sum(24 * 4 * tokens * width for _, _, tokens, _ in shapes)


def inspect(choice: ModelChoice, vit: Vit, samples: list[Sample]) -> list[Inspected | Exception]:
    """Inspect some samples in one batch; a sample that cannot be read gives its error instead."""
    images: dict[int, Image.Image] = {}
    found: list[Inspected | Exception | None] = [None] * len(samples)
    for i, sample in enumerate(samples):
        kept = store().inspected.get((choice, sample.sha256))
        if kept is not None:
            found[i] = kept
            continue
        try:
            images[i] = decode(sample.data)
        except Exception as error:
            found[i] = error
    records = vit.inspect_many(list(images.values()), batch_size=len(images) or 1)
    for (i, image), record in zip(images.items(), records, strict=True):
        result = Inspected(record, np.asarray(vit.crop(image)))
        store().inspected.put((choice, samples[i].sha256), result)
        found[i] = result
    return [result for result in found if result is not None]


def heat(
    choice: ModelChoice, vit: Vit, sample: Sample, method: str, target: int | None, **options: Any
) -> Heat:
    """An attribution map, from memory if it was asked for before.

    Raises:
        AttnlibError: the map is not defined, or an option is not allowed.
    """
    key = (choice, sample.sha256, method, target, tuple(sorted(options.items())))
    return store().heats.of(
        key, lambda: vit.explain(subject(choice, vit, sample), method, target, **options)
    )


def subject(choice: ModelChoice, vit: Vit, sample: Sample) -> Subject:
    """The image as a subject, kept so that the next method or layer needs no new pass."""
    return store().subjects.of((choice, sample.sha256), lambda: vit.subject(decode(sample.data)))


def numbers(choice: ModelChoice, sample: Sample, what: Hashable, make: Callable[[], T]) -> T:
    """Some small result for one image, from memory if it was asked for before.

    Args:
        what: names the result, and all that it depends on besides model and image.
    """
    found: T = store().numbers.of((choice, sample.sha256, what), make)
    return found
