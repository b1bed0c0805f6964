"""Files that hold results: one, several, a folder or a zip; read within limits."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from attnlib.data.paths import clean, is_junk
from attnlib.errors import LabelError, brief

# Of one file, unpacked, and of the numbers of a table: what a session can hold.
MAX_BYTES: Final = 2**30
MAX_CELLS: Final = 200_000_000
# Of a zip or folder of which the names are read.
MAX_FILES: Final = 2_000_000


@dataclass(frozen=True)
class Files:
    """Some files by relative path, with ``/``.

    Attributes:
        sizes: path -> bytes, unpacked.
        fetch: hands out the bytes of one of them.
    """

    sizes: Mapping[str, int]
    fetch: Callable[[str], bytes]

    @property
    def names(self) -> list[str]:
        return list(self.sizes)

    def ending(self, *endings: str) -> list[str]:
        """The paths that end so, in any case."""
        return [name for name in self.sizes if name.lower().endswith(endings)]

    def called(self, *names: str) -> list[str]:
        """The paths of files that are called so, the shortest first."""
        found = [path for path in self.sizes if path.rsplit("/", 1)[-1].lower() in names]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            LabelError: it is too large, or cannot be read.
        """
        if self.sizes[name] > MAX_BYTES:
            raise LabelError(
                f"{name} has {self.sizes[name] / 2**20:,.0f} MiB, and the limit for a file of "
                f"results is {MAX_BYTES // 2**20} MiB: leave out columns, or split it."
            )
        try:
            return self.fetch(name)
        except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, NotImplementedError) as error:
            raise LabelError(f"{name} cannot be read: {brief(error)}.") from error


def at(place: str | Path) -> Files:
    """The file, zip or folder at a path of this machine; links are not followed.

    Raises:
        LabelError: nothing is there.
    """
    path = Path(place)
    if path.is_dir():
        sizes: dict[str, int] = {}
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                one = Path(folder) / name
                inside = one.relative_to(path).as_posix()
                if one.is_file() and not one.is_symlink() and not is_junk(inside):
                    sizes[inside] = one.stat().st_size
                if len(sizes) > MAX_FILES:
                    raise LabelError(f"{place} holds more than {MAX_FILES:,} files.")
        return Files(sizes, lambda name: (path / name).read_bytes())
    if not path.is_file():
        raise LabelError(f"There is no file or folder {place}.")
    if _is_zip(path.name):
        try:
            return _zip(zipfile.ZipFile(path))
        except (OSError, zipfile.BadZipFile) as error:
            raise LabelError(f"{path.name} cannot be read: {brief(error)}.") from error
    return Files({path.name: path.stat().st_size}, lambda name: path.read_bytes())


def given(uploads: Iterable[tuple[str, bytes]]) -> Files:
    """Uploaded files (name, bytes); of one zip, what is in it.

    Raises:
        LabelError: the zip is broken.
    """
    held = {clean(name) or "file": data for name, data in uploads}
    if len(held) == 1 and _is_zip(next(iter(held))):
        try:
            return _zip(zipfile.ZipFile(io.BytesIO(next(iter(held.values())))))
        except (OSError, zipfile.BadZipFile) as error:
            raise LabelError(f"The zip cannot be read: {brief(error)}.") from error
    return Files({name: len(data) for name, data in held.items()}, held.__getitem__)


def check_cells(rows: int, columns: int, what: str) -> None:
    """Refuse more numbers than a session can hold.

    Raises:
        LabelError: there are more.
    """
    if rows * max(columns, 1) > MAX_CELLS:
        raise LabelError(
            f"{what} has {rows:,} rows of {columns:,} numbers, and the limit is {MAX_CELLS:,} "
            "numbers: leave out columns (only the likeliest classes, no embedding), or split it."
        )


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _zip(archive: zipfile.ZipFile) -> Files:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        path = clean(info.filename)
        if path is not None and not info.is_dir() and not is_junk(path):
            found[path] = info
    if len(found) > MAX_FILES:
        raise LabelError(f"The zip holds more than {MAX_FILES:,} files.")

    def fetch(name: str) -> bytes:
        return bounded(archive, found[name])

    return Files({name: info.file_size for name, info in found.items()}, fetch)


def bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member of a zip: at most as many bytes as its header says, whatever it unpacks to.

    Raises:
        LabelError: it says, or has, more than the limit.
    """
    if info.file_size > MAX_BYTES:
        raise LabelError(f"{info.filename} unpacks to more than {MAX_BYTES // 2**20} MiB.")
    with archive.open(info) as member:
        data: Any = member.read(info.file_size + 1)
    if len(data) > info.file_size:
        raise LabelError(f"{info.filename} is longer than the zip says.")
    return bytes(data)
