"""The same model at other sizes of its input: one view for each, found out once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Size = tuple[int, int]
View = TypeVar("View")

# Views are small; this bounds what thousands of pictures of their own shape take.
MOST = 1024


class Views(Generic[View]):
    """Views of one model by size ``(height, width)``; many threads may ask at once."""

    def __init__(self, size: Size, first: View) -> None:
        self._size, self._first = size, first
        self._kept: dict[Size, View] = {}
        self._lock = threading.Lock()

    def at(self, size: Size, make: Callable[[Size], View]) -> View:
        """The view at a size; ``make`` runs a pass, so no lock is held meanwhile."""
        if size == self._size:
            return self._first
        with self._lock:
            found = self._kept.get(size)
        if found is None:
            made = make(size)
            with self._lock:
                found = self._kept.setdefault(size, made)
                if len(self._kept) > MOST:
                    del self._kept[next(iter(self._kept))]
        return found
