"""Results shared by all visitors: records and maps, keyed by what they were made from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib import settings
from attnlib.capture.record import Record
from attnlib.dashboard.state import sizes
from attnlib.dashboard.state.cache import BoundedCache
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.collection import Sample
from attnlib.data.image import Decoded, decode, read
from attnlib.errors import AttnlibError, CaptureError, ModelError
from attnlib.lessons.walkthrough import Followed, follow
from attnlib.methods import Heat, Subject
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

T = TypeVar("T")


@dataclass(frozen=True)
class Inspected:
    """One image as one model saw it.

    Attributes:
        crop: ``(h, w, 3)`` bytes.
        notes: what was done to what its file stores, each in a few words.
        doubt: a sentence where the crop is not what the known normalisation says; else "".
    """

    record: Record
    crop: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    doubt: str = ""

    @property
    def covers(self) -> tuple[float, float]:
        """How far the patches reach over the crop, in shares of its height and width."""
        height, width, _ = self.crop.shape
        return self.record.layout.covers((height, width))

    @property
    def picture(self) -> Image.Image:
        """The crop as a PIL image."""
        return Image.fromarray(self.crop)


@dataclass(frozen=True)
class Results:
    """Bounded caches of one process."""

    inspected: BoundedCache[Inspected]
    heats: BoundedCache[Heat]
    subjects: BoundedCache[Subject | Followed]
    crops: BoundedCache[NDArray[np.uint8]]
    numbers: BoundedCache[Any]


@st.cache_resource(max_entries=1, show_spinner=False)
def store() -> Results:
    """The process's one store.

    A third of the budget each would waste it: records are small, subjects (which hold the
    attention of an image that somebody looks at) are large and few.
    """
    limit = settings.current().cache_mb * 2**20
    return Results(
        BoundedCache(limit * 14 // 24, sizes.nbytes),
        BoundedCache(limit // 24, sizes.nbytes),
        # A subject takes up its trace and its graph when a method first asks for them.
        BoundedCache(limit // 4, sizes.nbytes, grows=True),
        BoundedCache(limit // 24, sizes.nbytes),
        BoundedCache(limit // 24, sizes.nbytes),
    )


def inspect(choice: ModelChoice, vit: Vit, samples: list[Sample]) -> list[Inspected | Exception]:
    """Inspect some samples in one batch; a sample that cannot be read gives its error instead."""
    images: dict[int, Decoded] = {}
    found: list[Inspected | Exception | None] = [None] * len(samples)
    for i, sample in enumerate(samples):
        kept = store().inspected.get((choice, sample.sha256))
        if kept is not None:
            found[i] = kept
            continue
        try:
            images[i] = read(sample.data, choice.decoding, vit.channels)
        except Exception as error:
            found[i] = error
    pictures = [image.picture for image in images.values()]
    for (i, image), record in zip(images.items(), _records(vit, pictures), strict=True):
        if isinstance(record, AttnlibError):
            found[i] = record
            continue
        crop, doubt = vit.seen(image.picture)
        result = Inspected(record, np.asarray(crop), image.notes, doubt)
        store().inspected.put((choice, samples[i].sha256), result)
        found[i] = result
    return [result for result in found if result is not None]


def _records(vit: Vit, images: Iterable[Image.Image]) -> list[Record | AttnlibError]:
    """In one batch; one by one if an image makes the model fail, so that only it is refused."""
    batch = list(images)
    try:
        # Rollout costs up to half a pass: whoever looks at it has it computed then.
        return [*vit.inspect_many(batch, batch_size=len(batch) or 1, rollout=False)]
    except (ModelError, CaptureError) as error:
        if len(batch) == 1:
            return [error]
    return [record for image in batch for record in _records(vit, [image])]


def heat(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    method: str,
    target: int | None,
    progress: Progress | None = None,
    **options: Any,
) -> Heat:
    """An attribution map, from memory if it was asked for before.

    Raises:
        AttnlibError: the map is not defined, or an option is not allowed.
    """
    return store().heats.of(
        _named(choice, sample, method, target, options),
        lambda: vit.explain(
            subject(choice, vit, sample), method, target, progress=progress, **options
        ),
    )


def kept_heat(
    choice: ModelChoice, sample: Sample, method: str, target: int | None, **options: Any
) -> Heat | None:
    """The same where it is in memory; nothing is computed."""
    return store().heats.get(_named(choice, sample, method, target, options))


def _named(
    choice: ModelChoice, sample: Sample, method: str, target: int | None, options: dict[str, Any]
) -> Hashable:
    return choice, sample.sha256, method, target, tuple(sorted(options.items()))


def crop(choice: ModelChoice, vit: Vit, sample: Sample) -> Image.Image:
    """The part of a sample that the model sees, without asking the model.

    Raises:
        ImageError: it cannot be read.
    """
    inspected = store().inspected.get((choice, sample.sha256))
    if inspected is not None:
        return inspected.picture
    seen = store().crops.of(
        (choice, sample.sha256),
        lambda: np.asarray(vit.seen(decoded(choice, vit, sample))[0]),
    )
    return Image.fromarray(seen)


def kept_inspection(choice: ModelChoice, sample: Sample) -> Inspected | None:
    """What the inspection left behind, where it is in memory."""
    return store().inspected.get((choice, sample.sha256))


def decoded(choice: ModelChoice, vit: Vit, sample: Sample) -> Image.Image:
    """The sample's image, decoded as the choice says, with the model's channels.

    Raises:
        ImageError: it cannot be read.
    """
    return decode(sample.data, choice.decoding, vit.channels)


def subject(choice: ModelChoice, vit: Vit, sample: Sample) -> Subject:
    """The image as a subject, kept so that the next method or layer needs no new pass."""
    found = store().subjects.of(
        (choice, sample.sha256), lambda: vit.subject(decoded(choice, vit, sample))
    )
    assert isinstance(found, Subject)
    return found


def followed(choice: ModelChoice, vit: Vit, sample: Sample, layer: int) -> Followed:
    """The attention of one layer on the image, kept so that the next query needs no new pass.

    Raises:
        AttnlibError: as :func:`attnlib.lessons.walkthrough.follow`.
    """
    found = store().subjects.of(
        (choice, sample.sha256, "followed", layer),
        lambda: follow(vit, subject(choice, vit, sample).pixels, layer),
    )
    assert isinstance(found, Followed)
    return found


def numbers(choice: ModelChoice, sample: Sample, what: Hashable, make: Callable[[], T]) -> T:
    """Some small result for one image, from memory if it was asked for before.

    Args:
        what: names the result, and all that it depends on besides model and image.
    """
    found: T = store().numbers.of((choice, sample.sha256, what), make)
    return found


def kept(key: Hashable) -> Any:
    """The result of a long computation that any visitor asked for; None where nobody did."""
    return store().numbers.get(("task", key))


def keep(key: Hashable, result: object) -> None:
    """Keep the result of a long computation for all visitors.

    Args:
        key: MUST name all content that the result was made from and every word in it.
    """
    store().numbers.put(("task", key), result)
