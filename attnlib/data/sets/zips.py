"""Images in zip files: as a folder, within each."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from attnlib.data.image import MAX_BYTES
from attnlib.data.paths import IMAGE_ENDINGS, clean, is_junk
from attnlib.data.sets.entry import Entry
from attnlib.data.sets.places import Place
from attnlib.errors import AttnlibError, ImageError


@dataclass(frozen=True)
class Zips:
    """Members of zip files; where there are several, a name begins with that of its zip."""

    places: tuple[Place, ...]

    def entries(self) -> Iterator[Entry]:
        for number, place in enumerate(self.places):
            found: list[tuple[str, zipfile.ZipInfo]] = []
            with place.open() as file, _opened(file, place) as archive:
                for info in archive.infolist():
                    path = clean(info.filename)
                    if path and not is_junk(path) and path.lower().endswith(IMAGE_ENDINGS):
                        found.append((path, info))
            folders = {posixpath.dirname(path) for path, _ in found}
            root = posixpath.commonpath(folders) if folders else ""
            before = f"{posixpath.basename(place.path)}/" if len(self.places) > 1 else ""
            for path, info in sorted(found, key=lambda one: one[0]):
                folder = posixpath.dirname(path)
                label = posixpath.basename(folder) if folder != root else None
                name = f"{number}\n{info.filename}"
                yield Entry(before + path, label, name, size=info.file_size)

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        archive, current = None, -1
        try:
            for entry in entries:
                number, _, name = entry.file.partition("\n")
                if int(number) != current:
                    if archive is not None:
                        archive.close()
                    current = int(number)
                    archive = _opened(self.places[current].open(), self.places[current])
                assert archive is not None
                try:
                    # Its header may say little and unpack to much.
                    with archive.open(name) as member:
                        data = member.read(MAX_BYTES + 1)
                    if len(data) > MAX_BYTES:
                        raise ImageError("The file is too large.")
                    yield data
                except (OSError, ImageError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
                    yield error
        finally:
            if archive is not None:
                archive.close()


def _opened(file: IO[bytes], place: Place) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise AttnlibError(f"{place.path} is no zip that can be read: {error}.") from error
