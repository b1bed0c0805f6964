"""The bytes of one file: at hand, or fetched when somebody looks at them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Content:
    """What a file holds. Two are equal if their bytes are.

    Attributes:
        sha256: of the bytes, in hexadecimal.
        size: in bytes.
        fetch: gives the bytes; it may read them from a store, and raise that store's errors.
    """

    sha256: str
    size: int
    fetch: Callable[[], bytes] = field(compare=False, repr=False)

    def read(self) -> bytes:
        """The bytes; whatever ``fetch`` raises."""
        return self.fetch()

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Bytes that are at hand."""
        return cls(hashlib.sha256(data).hexdigest(), len(data), lambda: data)
