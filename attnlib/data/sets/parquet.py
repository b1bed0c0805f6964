"""Images in Parquet files, as Hugging Face writes them: a column of bytes, one of labels."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.data.sets.entry import Entry
from attnlib.data.sets.places import Place
from attnlib.errors import AttnlibError, brief

_IMAGES = ("image", "img", "picture", "jpg", "png", "bytes")
_LABELS = ("label", "labels", "class", "cls", "class_name", "target")
_NAMES = ("name", "file_name", "filename", "path", "key", "__key__", "id")


@dataclass(frozen=True)
class Tables:
    """Rows of Parquet files."""

    places: tuple[Place, ...]

    def entries(self) -> Iterator[Entry]:
        several = len(self.places) > 1
        for number, place in enumerate(self.places):
            with place.open() as file, _opened(file, place) as table:
                columns = _Columns(table.schema_arrow, place)
                before = f"{posixpath.basename(place.path)}/" if several else ""
                row = 0
                for batch in table.iter_batches(columns=columns.listed):
                    for said in batch.to_pylist():
                        name = columns.name(said) or f"{row:08d}"
                        yield Entry(before + name, columns.label(said), str(number), row)
                        row += 1

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        for number, rows in groupby(entries, key=lambda entry: int(entry.file)):
            place = self.places[number]
            with place.open() as file, _opened(file, place) as table:
                image = _Columns(table.schema_arrow, place).image
                ends, total = [], 0
                for group in range(table.num_row_groups):
                    total += table.metadata.row_group(group).num_rows
                    ends.append(total)
                held, values = -1, None
                for entry in rows:
                    group = next(i for i, end in enumerate(ends) if entry.place < end)
                    if group != held:
                        held, values = group, table.read_row_group(group, columns=[image])[image]
                    first = ends[group - 1] if group else 0
                    assert values is not None
                    given = values[entry.place - first].as_py()
                    data = given.get("bytes") if isinstance(given, dict) else given
                    yield data if isinstance(data, bytes) else ValueError("the row has no bytes")


class _Columns:
    """Which columns of a table mean what."""

    def __init__(self, schema: pa.Schema, place: Place) -> None:
        names = {name.lower(): name for name in schema.names}
        image = next((names[n] for n in _IMAGES if n in names), None)
        if image is None or not _holds_bytes(schema.field(image).type):
            raise AttnlibError(
                f"{place.path} has no column of images: one called {_IMAGES[0]!r} must hold bytes, "
                f"or a struct with bytes. It has {', '.join(schema.names[:8])}."
            )
        self.image = image
        self._label = next((names[n] for n in _LABELS if n in names), None)
        self._own = next((names[n] for n in _NAMES if n in names), None)
        self._nested = pa.types.is_struct(schema.field(image).type) and any(
            field.name == "path" for field in schema.field(image).type
        )
        self._classes = _class_names(schema, self._label)
        self.listed = [one for one in (self._label, self._own) if one is not None]
        if self._own is None and self._nested:
            self.listed.append(f"{image}.path")
        if not self.listed:
            # A column has to be read to count rows batch by batch; the path is short.
            self.listed = [f"{image}.path"] if self._nested else [image]

    def name(self, said: dict[str, Any]) -> str:
        nested = said.get(self.image)
        path = nested.get("path") if isinstance(nested, dict) else None
        own = said.get(self._own) if self._own is not None else path
        return "" if own is None else str(own)

    def label(self, said: dict[str, Any]) -> str | None:
        value = said.get(self._label) if self._label is not None else None
        if isinstance(value, int) and 0 <= value < len(self._classes):
            return self._classes[value]
        return None if value is None or value == -1 else str(value)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _class_names(schema: pa.Schema, label: str | None) -> list[str]:
    """The names of a class label, as ``datasets`` leaves them in the schema's metadata."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])
        names = said["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _opened(file: Any, place: Place) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise AttnlibError(f"{place.path} is no Parquet: {brief(error)}.") from error
