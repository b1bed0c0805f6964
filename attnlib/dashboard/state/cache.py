"""A store for results that many threads share: bounded in bytes, least recently used out first."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")

# Of a value that is measured again: the cache's own, the name there, and the question's argument.
_OWN_REFERENCES = 3


class BoundedCache(Generic[V]):
    """Keys MUST name the content (a SHA-256 and scalars), so that sharing leaks nothing: whoever
    can name the key already has what the value was made from.

    Args:
        limit: bytes that all values together may take.
        size: bytes of one value.
        grows: values may grow after they were put here, by whoever uses them: those that
            somebody else still holds are measured again at each access, and once more after.
    """

    def __init__(self, limit: int, size: Callable[[V], int], grows: bool = False) -> None:
        self.limit = limit
        self._size = size
        self._grows = grows
        self._lent: set[Hashable] = set()
        self._values: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held as last measured, never more than ``limit``."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable) -> V | None:
        """The value, now the most recently used, or None."""
        with self._lock:
            self._measure_again()
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            self._lend(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: V) -> None:
        """Keep the value; a value larger than the limit is not kept at all."""
        size = self._size(value)
        with self._lock:
            self._measure_again()
            self._drop(key)
            if size > self.limit:
                return
            self._values[key] = (value, size)
            self._bytes += size
            self._lend(key)
            self._keep_within()

    def of(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value, made if it is not there. Two threads may make it at the same time."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value)
        return value

    def _lend(self, key: Hashable) -> None:
        if self._grows:
            self._lent.add(key)

    def _measure_again(self) -> None:
        for key in tuple(self._lent):
            value, before = self._values[key]
            if sys.getrefcount(value) <= _OWN_REFERENCES:
                self._lent.discard(key)
            size = self._size(value)
            self._values[key] = (value, size)
            self._bytes += size - before
        self._keep_within()

    def _keep_within(self) -> None:
        while self._bytes > self.limit:
            self._drop(next(iter(self._values)))

    def _drop(self, key: Hashable) -> None:
        if key in self._values:
            self._bytes -= self._values.pop(key)[1]
            self._lent.discard(key)
