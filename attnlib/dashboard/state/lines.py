"""So many computations of one person at a time; the others wait in that person's own line."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable

Begin = Callable[[], object]


class Lines:
    """One line for each person; nobody waits for somebody else here.

    Args:
        most: how many of one person may run; asked each time.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[Begin]] = {}

    def join(self, person: str, begin: Begin) -> None:
        """Call ``begin`` as soon as this person's turn comes, perhaps at once.

        Whatever it begins MUST call :meth:`end` when it is over. ``begin`` must not raise.
        """
        with self._lock:
            self._waiting.setdefault(person, deque()).append(begin)
            self._go_on(person)

    def end(self, person: str) -> None:
        """Something of this person's is over: the next one begins."""
        with self._lock:
            self._running[person] -= 1
            self._go_on(person)

    def leave(self, person: str, begin: Begin) -> bool:
        """Wait no longer; whether it still waited. If so it never begins, and needs no end."""
        with self._lock:
            line = self._waiting.get(person, deque())
            if begin not in line:
                return False
            line.remove(begin)
            self._tidy(person)
            return True

    def waits(self, person: str, begin: Begin) -> bool:
        """Whether it waits for its turn."""
        with self._lock:
            return begin in self._waiting.get(person, ())

    def _go_on(self, person: str) -> None:
        line = self._waiting.get(person)
        while line and self._running[person] < self._most():
            self._running[person] += 1
            line.popleft()()
        self._tidy(person)

    def _tidy(self, person: str) -> None:
        """Whoever has nothing here leaves no trace."""
        if not self._waiting.get(person):
            self._waiting.pop(person, None)
        if not self._running[person]:
            del self._running[person]
