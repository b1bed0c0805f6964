"""Who may run a forward pass now: so many at a time, and people in turn.

A click that somebody waits for goes before work beside the page. Within each of the two the people
are served one after the other, one pass each, and what one person asked for in its order. So
somebody's thousand passes stand between another and theirs no more often than a single one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

# Passes of pages in a row before one beside a page that waits: else that could wait for ever.
IN_A_ROW = 4
# How often somebody who waits is asked whether it is still worth it, in seconds.
ASK_S = 0.05


def _here() -> bool:
    return True


@dataclass(frozen=True)
class Asker:
    """For whom a thread asks for a place.

    Attributes:
        person: who shares a turn; "" where nobody is known.
        beside: whether it is work beside the page, rather than what a page waits for.
        here: asked again and again while it waits, in its own thread: false passes it over for
            now, and whatever it raises ends the wait.
    """

    person: str = ""
    beside: bool = False
    here: Callable[[], bool] = _here


NOBODY = Asker()
# For whom this thread works, where somebody has said so.
ASKER: ContextVar[Asker | None] = ContextVar("asker", default=None)
_FIND: list[Callable[[], Asker]] = [lambda: NOBODY]


def found_by(find: Callable[[], Asker]) -> None:
    """Have a function say for whom a thread works in which :data:`ASKER` says nothing."""
    _FIND[0] = find


def asker() -> Asker:
    """For whom this thread works."""
    return ASKER.get() or _FIND[0]()


@dataclass(eq=False)
class _Waiter:
    asker: Asker
    away: bool = False
    admitted: threading.Event = field(default_factory=threading.Event)


class _Line:
    """Waiters of several people: the person at the front has the next turn."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    def join(self, waiter: _Waiter) -> None:
        self._of.setdefault(waiter.asker.person, deque()).append(waiter)

    def leave(self, waiter: _Waiter) -> None:
        person = waiter.asker.person
        self._of[person].remove(waiter)
        if not self._of[person]:
            del self._of[person]

    def next(self) -> _Waiter | None:
        """Whose turn it is among those who are here, if anybody is."""
        return next((w for waiters in self._of.values() for w in waiters if not w.away), None)

    def take(self, waiter: _Waiter) -> None:
        """It is served: its person goes to the end."""
        self.leave(waiter)
        if waiter.asker.person in self._of:
            self._of.move_to_end(waiter.asker.person)


class Admission:
    """Places for forward passes.

    Args:
        places: how many there are, at least 1.
    """

    def __init__(self, places: int) -> None:
        self.free = places
        self._lock = threading.Lock()
        self._pages, self._beside = _Line(), _Line()
        self._in_a_row = 0

    @contextmanager
    def place(self, asker: Asker = NOBODY) -> Iterator[None]:
        """Hold a place, waiting for it where there is none.

        Raises:
            Exception: what ``asker.here`` raises; then there was no place.
        """
        self.take(asker)
        try:
            yield
        finally:
            self.give_back()

    def take(self, asker: Asker = NOBODY) -> None:
        """Wait for a place, which :meth:`give_back` MUST give back.

        Raises:
            Exception: what ``asker.here`` raises; then there is no place.
        """
        waiter = _Waiter(asker, away=not asker.here())
        line = self._line(waiter)
        with self._lock:
            line.join(waiter)
            self._admit()
        try:
            while not waiter.admitted.wait(ASK_S):
                away = not waiter.asker.here()
                if away != waiter.away:
                    with self._lock:
                        waiter.away = away
                        self._admit()
        except BaseException:
            with self._lock:
                if waiter.admitted.is_set():
                    self._give_back()
                else:
                    line.leave(waiter)
            raise

    def give_back(self) -> None:
        """Give a place back that :meth:`take` gave."""
        with self._lock:
            self._give_back()

    @property
    def wanted(self) -> bool:
        """Whether somebody who is here waits for a place."""
        with self._lock:
            return self._pages.next() is not None or self._beside.next() is not None

    def _line(self, waiter: _Waiter) -> _Line:
        return self._beside if waiter.asker.beside else self._pages

    def _give_back(self) -> None:
        self.free += 1
        self._admit()

    def _admit(self) -> None:
        """Give every free place to whose turn it is."""
        while self.free and (waiter := self._next()) is not None:
            self._line(waiter).take(waiter)
            self.free -= 1
            waiter.admitted.set()

    def _next(self) -> _Waiter | None:
        page, beside = self._pages.next(), self._beside.next()
        if page is None or (beside is not None and self._in_a_row >= IN_A_ROW):
            self._in_a_row = 0
            return beside
        self._in_a_row = self._in_a_row + 1 if beside is not None else 0
        return page
