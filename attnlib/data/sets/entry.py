"""One image of a large set, by where its bytes lie; and what every kind of set can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """An image that is not read yet.

    Attributes:
        name: unique in its set: a path with ``/`` within the source.
        label: as text; None where none is known.
        file: the file that holds it, as the set opens it; ``""`` where that is the set's one file.
        place: where in the file: the first byte in a tar, the row in Parquet, 0 otherwise.
        size: bytes; 0 where that is not known without reading.
    """

    name: str
    label: str | None
    file: str
    place: int = 0
    size: int = 0


class ImageSet(Protocol):
    """A set of images that may be larger than memory."""

    def entries(self) -> Iterator[Entry]:
        """All images, in an order that is the same each time; headers are read, no image."""

    def read(self, entries: Sequence[Entry]) -> Iterator[bytes | Exception]:
        """The bytes of some of them in their order, or why one cannot be read."""
