"""What every finding starts from: a model, images, and what it says about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.capture.record import Record
from attnlib.errors import LabelError, ModelError
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Examined:
    """A model and a set of images after one pass of each image.

    Attributes:
        vit: the model.
        names: of the images, in their order, n of them.
        images: as they were given.
        records: what the model says about each.
        labels: ``(n,)`` class index of each, -1 where it is not known.
        masks: ``(h, w)`` bool of the object, in the image's own pixels, by image name; of as many
            images as have one.
    """

    vit: Vit
    names: tuple[str, ...]
    images: tuple[Image.Image, ...]
    records: tuple[Record, ...]
    labels: NDArray[np.int64]
    masks: Mapping[str, NDArray[np.bool_]]

    @property
    def classifies(self) -> bool:
        """Whether each image has one of several classes; else findings about mistakes are none."""
        return self.vit.outputs.kind == "classes"

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """``(n, C)``, 0 to 1."""
        return np.stack([record.probabilities for record in self.records]).astype(np.float64)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """``(n,)`` class index of each prediction."""
        return np.asarray([record.predicted for record in self.records], dtype=np.int64)

    @cached_property
    def embeddings(self) -> NDArray[np.float64]:
        """``(n, D)``, the input of the final linear layer."""
        return np.stack([record.embedding for record in self.records]).astype(np.float64)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """``(n,)``, which images have a label."""
        return self.labels >= 0

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """``(n,)``, the mistakes."""
        return np.asarray(self.labelled & (self.predicted != self.labels))

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """``(n,)``, the labelled images that are no mistakes."""
        return np.asarray(self.labelled & (self.predicted == self.labels))

    def named(self, places: Iterable[int]) -> tuple[str, ...]:
        """The names at some places."""
        return tuple(self.names[place] for place in places)

    def class_name(self, index: int) -> str:
        """The name of a class."""
        return self.records[0].class_name(index)


def examine(
    vit: Vit,
    images: Mapping[str, Image.Image],
    labels: Mapping[str, int | str] | None = None,
    masks: Mapping[str, NDArray[np.bool_]] | None = None,
    progress: Progress | None = None,
    *,
    records: Mapping[str, Record] | None = None,
) -> Examined:
    """One pass of each image.

    Args:
        labels: class index or class name by image name; images may be missing.
        masks: as in :class:`Examined`.
        progress: called with (images done, images); what it raises ends it.
        records: of images that were inspected already; they are not run again.

    Raises:
        LabelError: a label is no class of the model, or speaks of an image that is not there.
        ModelError: there are no images, or the model does not run on one.
    """
    if not images:
        raise ModelError("There is nothing to diagnose: no images were given.")
    known, names = dict(records or {}), tuple(images)
    numbers = _numbers(vit, names, labels or {})
    missing = [name for name in names if name not in known]
    done = len(names) - len(missing)
    found = vit.inspect_many([images[n] for n in missing], batch_size=BATCH_SIZE, rollout=False)
    for name, record in zip(missing, found, strict=True):
        known[name] = record
        done += 1
        if progress is not None:
            progress(done, len(names))
    return Examined(
        vit,
        names,
        tuple(images.values()),
        tuple(known[name] for name in names),
        np.asarray([numbers.get(name, -1) for name in names], dtype=np.int64),
        _fitting(images, masks or {}),
    )


def _numbers(vit: Vit, names: Sequence[str], labels: Mapping[str, int | str]) -> dict[str, int]:
    """The class index of each label."""
    strangers = sorted(set(labels) - set(names))
    if strangers:
        raise LabelError(f"There is a label for “{strangers[0]}”, but no image of that name.")
    places = {name: index for index, name in enumerate(vit.class_names)}
    found = {}
    for name, label in labels.items():
        index = places.get(label, -1) if isinstance(label, str) else int(label)
        if not 0 <= index < len(vit.class_names):
            raise LabelError(
                f"The label of “{name}”, {label!r}, is no class of this model. Labels must be "
                f"class names, or numbers from 0 to {len(vit.class_names) - 1}."
            )
        found[name] = index
    return found


def _fitting(
    images: Mapping[str, Image.Image], masks: Mapping[str, NDArray[np.bool_]]
) -> dict[str, NDArray[np.bool_]]:
    """The masks, each of its image's size."""
    found = {}
    for name, mask in masks.items():
        if name not in images:
            raise LabelError(f"There is a mask for “{name}”, but no image of that name.")
        shape = images[name].size[::-1]
        if mask.shape != shape:
            raise LabelError(
                f"The mask of “{name}” has {mask.shape[0]} x {mask.shape[1]} pixels and the image "
                f"{shape[0]} x {shape[1]}; they must be equal."
            )
        found[name] = np.asarray(mask, dtype=bool)
    return found
