"""A table of paths: each row names an image file, and maybe its label."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import fsspec
import pandas as pd

from attnlib.data.sets.entry import Entry
from attnlib.data.sets.places import Place
from attnlib.errors import AttnlibError, brief

_PATHS = ("path", "file", "filename", "file_name", "image", "name", "url")
_LABELS = ("label", "class", "class_name", "true", "target")


@dataclass(frozen=True)
class Listed:
    """Rows of a CSV; paths without a file system of their own are relative to the table."""

    place: Place

    def entries(self) -> Iterator[Entry]:
        with self.place.open() as file:
            try:
                table = pd.read_csv(
                    file, dtype=str, keep_default_na=False, sep=None, engine="python"
                )
            except (ValueError, pd.errors.ParserError) as error:
                raise AttnlibError(f"{self.place.path} is no table: {brief(error)}.") from error
        columns = {str(name).strip().lower(): name for name in table.columns}
        path = next((columns[n] for n in _PATHS if n in columns), None)
        if path is None:
            raise AttnlibError(
                f"{self.place.path} needs a column “path” (and “label”); its first line has "
                f"{', '.join(map(str, table.columns[:8]))}."
            )
        label = next((columns[n] for n in _LABELS if n in columns), None)
        labels = table[label] if label is not None else [""] * len(table)
        for name, text in zip(table[path], labels, strict=True):
            yield Entry(name, text or None, name)

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        folder = posixpath.dirname(self.place.path)
        for entry in entries:
            try:
                if "://" in entry.file:
                    opened = fsspec.open(entry.file, "rb").open()
                else:
                    path = entry.file if entry.file.startswith("/") else f"{folder}/{entry.file}"
                    opened = self.place.system.open(path, "rb")
                with opened as file:
                    yield file.read()
            except (OSError, ValueError, ImportError) as error:
                yield error
