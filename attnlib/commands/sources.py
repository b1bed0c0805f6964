"""Images with labels and masks out of a folder, a zip, a file, or an embedded demo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.commands import files
from attnlib.data import annotation, masks
from attnlib.data.collection import Sample, collect
from attnlib.data.image import decode
from attnlib.data.labels import LabelTable, match_labels, read_label_table
from attnlib.data.text import counted
from attnlib.errors import AttnlibError, LabelError
from attnlib.model import demo, embedded, objects
from attnlib.model.vit import Vit

# Decoded pictures lie in memory at 4 bytes a pixel: this is 2 GB.
MAX_PIXELS = 500_000_000


@dataclass
class Source:
    """What was read.

    Attributes:
        images: decoded, by name.
        labels: class index by image name, of those that have one.
        masks: ``(h, w)`` bool of the object, by image name.
        notes: what was not taken, and why, as sentences.
    """

    images: dict[str, Image.Image] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(
    place: str,
    table: Path | None,
    vit: Vit,
    limit: int | None,
    coco: annotation.Coco | None = None,
) -> Source:
    """The images at a place, decoded for a model.

    Args:
        place: a folder, a zip or an image file, or the name of an embedded demo for its images.
        table: a CSV of file names and labels; tables and folders of the source are labels else.
        limit: at most so many images, drawn at random, the same ones each time.
        coco: where the objects of some images are; a mask that comes with an image goes before.

    Raises:
        AttnlibError: nothing is there, no image can be read, or they do not fit into memory.
        LabelError: the table cannot be read, or its labels are no classes of the model.
    """
    found = Source()
    collection = collect(_files(place))
    found.notes += [f"{one.name}: {one.reason}" for one in collection.refusals]
    samples, drawn = masks.set_apart(collection.samples)
    if not samples:
        why = f" ({found.notes[0]})" if found.notes else ""
        raise AttnlibError(f"There is no image that can be read in {place}{why}.")
    tables = [read_label_table(data) for _, data in collection.tables] if table is None else []
    if table is not None:
        tables = [read_label_table(files.read(table))]
    if not tables and place in embedded.NAMES and not Path(place).exists():
        shown = demo.images() if place == "demo" else objects.images()
        tables = [LabelTable({one.name: one.label for one in shown}, ())]
    _label(found, samples, tables, vit, asked=table is not None)
    if limit is not None and len(samples) > limit:
        chosen = np.random.default_rng(0).choice(len(samples), limit, replace=False)
        samples = tuple(samples[place] for place in sorted(chosen.tolist()))
    _decode(found, samples, drawn, vit)
    if coco is not None:
        _annotate(found, coco)
    return found


def _annotate(found: Source, coco: annotation.Coco) -> None:
    """The masks that the annotations draw."""
    missing = []
    for name, picture in found.images.items():
        if name in found.masks:
            continue
        try:
            found.masks[name] = coco.mask(name, picture.size)
        except AttnlibError as error:
            missing.append(str(error))
    if missing:
        found.notes.append(
            f"{counted(len(missing), 'image has', 'images have')} no annotated object: {missing[0]}"
        )
    if not found.masks:
        raise AttnlibError(f"The annotations hold no object of these images. {missing[0]}")


def _label(
    found: Source,
    samples: tuple[Sample, ...],
    tables: list[LabelTable],
    vit: Vit,
    *,
    asked: bool,
) -> None:
    """Labels, and what became of the others."""
    table = LabelTable.joined(tables, ()) if tables else None
    match = match_labels(samples, table, vit.class_names)
    found.labels = dict(match.labels)
    for text, count in match.unknown_names.items():
        found.notes.append(f"{count} images have the label {text!r}, which is no class.")
    if match.unknown_files:
        found.notes.append(
            f"{len(match.unknown_files)} rows of the label table name no image that is here, "
            f"{match.unknown_files[0]!r} for one."
        )
    if asked and not found.labels:
        raise LabelError(
            "No image got a label from the table: its file names must be those of the images and "
            f"its labels classes of the model, such as {vit.class_names[0]!r}."
        )


def _decode(
    found: Source, samples: tuple[Sample, ...], drawn: Mapping[str, bytes], vit: Vit
) -> None:
    """The pictures and their masks."""
    pixels = 0
    for sample in samples:
        try:
            picture = decode(sample.data, channels=vit.channels)
        except AttnlibError as error:
            found.notes.append(f"{sample.name}: {error}")
            continue
        pixels += picture.width * picture.height
        if pixels > MAX_PIXELS:
            raise AttnlibError(
                f"The first {len(found.images)} of {len(samples)} images have {MAX_PIXELS:,} "
                f"pixels together, which is what memory is kept for: give --limit "
                f"{max(1, len(found.images) // 2)}."
            )
        found.images[sample.name] = picture
        if sample.sha256 in drawn:
            try:
                mask = annotation.read_mask(drawn[sample.sha256], picture.size)
                found.masks[sample.name] = mask
            except AttnlibError as error:
                found.notes.append(f"{sample.name}: its mask is not used. {error}")
    found.labels = {name: label for name, label in found.labels.items() if name in found.images}
    if not found.images:
        raise AttnlibError(f"No image can be read. {found.notes[-1]}")


def _files(place: str) -> Iterator[tuple[str, bytes]]:
    """(name or relative path, bytes) of all files at a place."""
    path = Path(place)
    if not path.exists():
        if place == "demo":
            yield from ((one.name, one.data) for one in demo.images())
            return
        if place == objects.NAME:
            for drawn in objects.images():
                yield drawn.name, drawn.data
                yield f"masks/{drawn.name}", drawn.mask
            return
        raise AttnlibError(
            f"There is no folder, zip or image {place}. Give one, or "
            f"{' or '.join(map(repr, embedded.NAMES))} for embedded images."
        )
    if path.is_file():
        yield path.name, files.read(path)
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            one = Path(folder) / name
            # Links may lead anywhere, and pipes never end.
            if one.is_file() and not one.is_symlink():
                yield one.relative_to(path).as_posix(), files.read(one)
