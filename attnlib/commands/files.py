"""Files that a command is given."""

from __future__ import annotations

from pathlib import Path

from attnlib.errors import AttnlibError


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        AttnlibError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise AttnlibError(f"{path} cannot be read: {error.strerror}.") from error
