"""Where a set lies: a path or a URL of any fsspec file system, with braces and wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import fsspec

from attnlib.errors import AttnlibError, brief

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Place:
    """One file or folder of a file system."""

    system: Any
    path: str

    def open(self, file: str = "") -> IO[bytes]:
        """A file within, or the place itself, for reading.

        Raises:
            OSError: it cannot be opened.
        """
        opened: IO[bytes] = self.system.open(self.within(file), "rb")
        return opened

    def within(self, file: str) -> str:
        """The path of a file in the folder."""
        return f"{self.path.rstrip('/')}/{file}" if file else self.path

    @property
    def is_folder(self) -> bool:
        """Whether it holds files."""
        return bool(self.system.isdir(self.path))

    def files(self) -> list[tuple[str, int]]:
        """Paths within and sizes of all files in the folder, sorted by path."""
        found = self.system.find(self.path, detail=True)
        root = len(self.path.rstrip("/")) + 1
        return sorted((path[root:], int(info.get("size") or 0)) for path, info in found.items())


def resolved(text: str) -> list[Place]:
    """The files or the folder that a text names, ``{000..999}`` and ``*`` written out.

    Raises:
        AttnlibError: nothing is there, or the file system is not known here.
    """
    found: list[Place] = []
    for one in _expanded(text):
        try:
            system, path = fsspec.core.url_to_fs(one)
            paths = sorted(system.glob(path)) if "*" in path else [path]
            found += [Place(system, path) for path in paths if system.exists(path)]
        except (ImportError, ValueError) as error:
            raise AttnlibError(
                f"{one} cannot be opened: {brief(error)}. For s3:// install attnlib[s3]; other "
                "addresses need fsspec's package for them."
            ) from error
        except OSError as error:
            raise AttnlibError(f"{one} cannot be read: {brief(error)}.") from error
    if not found:
        raise AttnlibError(f"There is nothing at {text}.")
    return found


def _expanded(text: str) -> Iterator[str]:
    found = _BRACES.search(text)
    if found is None:
        yield text
        return
    first, last = int(found[1]), int(found[2])
    for number in range(first, last + 1):
        yield from _expanded(
            f"{text[: found.start()]}{number:0{len(found[1])}}{text[found.end() :]}"
        )
