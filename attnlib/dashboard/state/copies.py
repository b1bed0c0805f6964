"""Weights that all visitors share: one copy of each, and the bytes of all within bounds."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from attnlib.errors import TooLarge

T = TypeVar("T")


class Copies(Generic[T]):
    """Things made once for each key, whoever asks; those not used for longest go first.

    Two who ask for one at the same time wait for one making. What fails is not remembered.

    Args:
        most: how many there may be.
        limit: bytes that all may take; asked at each making.
        size: bytes of one.
    """

    def __init__(self, most: int, limit: Callable[[], int], size: Callable[[T], int]) -> None:
        self._most, self._limit, self._size = most, limit, size
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return sum(size for _, size in list(self._held.values()))

    def get(self, key: Hashable) -> T | None:
        """The one of a key, now the most recently used, or None."""
        with self._lock:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            return self._held[key][0]

    def of(self, key: Hashable, make: Callable[[], T]) -> T:
        """The one of a key, made where there is none.

        Raises:
            TooLarge: it is, though all others were let go for it; and whatever ``make`` raises.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self.get(key)
                return self._put(key, self._made(make)) if found is None else found
        finally:
            with self._lock:
                if not making.locked():
                    self._making.pop(key, None)

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._held.clear()

    def _made(self, make: Callable[[], T]) -> T:
        try:
            return make()
        except TooLarge:
            if not self._held:
                raise
        # What others have loaded before makes room for what is asked for now.
        self.clear()
        gc.collect()
        return make()

    def _put(self, key: Hashable, made: T) -> T:
        size = self._size(made)
        with self._lock:
            self._held[key] = made, size
            while len(self._held) > 1 and (
                len(self._held) > self._most or self.nbytes > self._limit()
            ):
                self._held.popitem(last=False)
        return made
