"""Which threads draw now, and who gives way to whom: they share one interpreter.

A click that changes a part of a page is what somebody waits for with a hand on the mouse, and costs
little. A whole page lets such clicks go first, and work beside pages (see
:mod:`attnlib.dashboard.state.turns`) lets both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Kind = Literal["page", "part"]

# A whole page waits no longer than this for clicks, in all.
PATIENCE_S = 3.0


class Drawing:
    """Pages, and parts of pages, that are drawn now."""

    def __init__(self) -> None:
        self._drawn: dict[Kind, int] = {"page": 0, "part": 0}
        self._changed = threading.Condition()
        self._mine = threading.local()

    @contextmanager
    def draws(self, kind: Kind) -> Iterator[None]:
        """In this thread a page is drawn, or a part; within a page, a part is the page's."""
        if self.kind:
            yield
            return
        self._mine.kind, self._mine.patience = kind, PATIENCE_S
        self._count(kind, 1)
        try:
            yield
        finally:
            self._mine.kind = None
            self._count(kind, -1)

    @contextmanager
    def waits(self) -> Iterator[None]:
        """In this thread a page waits for work beside it, which need not give way to it."""
        kind = self.kind
        if kind is None:
            yield
            return
        self._count(kind, -1)
        try:
            yield
        finally:
            self._count(kind, 1)

    @property
    def kind(self) -> Kind | None:
        """What this thread draws; None for what runs alone by the clock."""
        found: Kind | None = getattr(self._mine, "kind", None)
        return found

    @property
    def quiet(self) -> bool:
        """Whether nothing is drawn."""
        return not any(self._drawn.values())

    def wait_until_quiet(self, seconds: float) -> None:
        """Return as soon as nothing is drawn, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.quiet, seconds)

    def give_way(self) -> None:
        """Between two elements of a page: where a whole page is drawn, let clicks go first."""
        if not self._drawn["part"] or self.kind != "page":
            return
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: not self._drawn["part"], max(0, self._mine.patience))
        self._mine.patience -= time.monotonic() - began

    def _count(self, kind: Kind, change: int) -> None:
        with self._changed:
            self._drawn[kind] += change
            self._changed.notify_all()


DRAWING = Drawing()
"""Of this process."""
