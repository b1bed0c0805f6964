"""The bytes of one file: at hand, or fetched when somebody looks at them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Content:
    """What a file holds. Two are equal if their bytes are.

    Args:
        sha256: of the bytes, in hexadecimal.
        size: in bytes.
        fetch: gives the bytes; it may read them from a store, and raise that store's errors.
    """

    __slots__ = ("_fetch", "sha256", "size")

    def __init__(self, sha256: str, size: int, fetch: Callable[[], bytes]) -> None:
        self.sha256, self.size, self._fetch = sha256, size, fetch

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Bytes that are at hand."""
        return cls(hashlib.sha256(data).hexdigest(), len(data), lambda: data)

    def read(self) -> bytes:
        """The bytes; whatever ``fetch`` raises."""
        return self._fetch()

    def let_go(self, fetch: Callable[[], bytes]) -> None:
        """Give the memory back: the same bytes are fetched from elsewhere from now on."""
        self._fetch = fetch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Content({self.sha256[:12]}, {self.size} bytes)"
