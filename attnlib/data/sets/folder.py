"""A folder of images, of any file system: the folder that holds an image is its label."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attnlib.data.labels import LabelTable, read_label_table
from attnlib.data.paths import IMAGE_ENDINGS, TABLE_ENDINGS, is_junk
from attnlib.data.sets.entry import Entry
from attnlib.data.sets.places import Place
from attnlib.errors import LabelError


@dataclass(frozen=True)
class Folder:
    """Images below a folder. A table at its top goes before folder names."""

    place: Place

    def entries(self) -> Iterator[Entry]:
        files = [(path, size) for path, size in self.place.files() if not is_junk(path)]
        images = [(p, size) for p, size in files if p.lower().endswith(IMAGE_ENDINGS)]
        table = self._table([path for path, _ in files if "/" not in path])
        folders = {posixpath.dirname(path) for path, _ in images}
        # What holds all images is a container and no label.
        root = posixpath.commonpath(folders) if folders else ""
        for path, size in images:
            folder = posixpath.dirname(path)
            own = posixpath.basename(folder) if folder != root else None
            label = table.get(path, table.get(posixpath.basename(path), own))
            yield Entry(path, label, path, size=size)

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        for entry in entries:
            try:
                with self.place.open(entry.file) as file:
                    yield file.read()
            except OSError as error:
                yield error

    def _table(self, paths: list[str]) -> dict[str, str]:
        tables = []
        for path in paths:
            if path.lower().endswith(TABLE_ENDINGS):
                with self.place.open(path) as file:
                    try:
                        tables.append(read_label_table(file.read()))
                    except LabelError:
                        continue  # a table of something else
        return LabelTable.joined(tables, ()).labels if tables else {}
