"""Whose turn it is to compute beside the pages.

Threads of one process share its interpreter: with thirty computations at once each page would get
a thirtieth of it. So as many compute as forward passes may run at a time, people in turn, and each
gives way at its next step to a page that is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from attnlib import settings
from attnlib.capture.admission import Admission, Asker
from attnlib.dashboard.state.drawing import DRAWING, Drawing

# A step waits no longer than this for pages: under many clicks work goes on slowly, but goes on.
PAGES_S = 0.25
# Nor longer than this for its turn: whoever has it might wait for what this one makes.
TURN_S = 10.0


class _LongEnough(Exception):
    """Waited enough: go on without a turn."""


class Turn:
    """The turns of one computation, all taken and given back in its own thread.

    Args:
        places: where turns come from.
        asker: for whom it computes.
        pages: what it gives way to.
    """

    def __init__(
        self,
        places: Admission,
        asker: Asker,
        pages: Drawing = DRAWING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._asker, self._pages, self._clock = places, asker, pages, clock
        self._held = False

    def take(self) -> None:
        """Wait until no page is drawn and it is this computation's turn.

        Raises:
            Exception: what ``asker.here`` raises; then it has no turn.
        """
        self._pages.wait_until_quiet(PAGES_S)
        began = self._clock()

        def here() -> bool:
            if self._clock() - began > TURN_S:
                raise _LongEnough
            return self._asker.here()

        try:
            self._places.take(Asker(self._asker.person, beside=True, here=here))
        except _LongEnough:
            return
        self._held = True

    def give_back(self) -> None:
        """Let another compute."""
        if self._held:
            self._held = False
            self._places.give_back()

    def give_way(self) -> None:
        """Between two steps: let pages and others go first, if there are any.

        Raises:
            Exception: as :meth:`take`.
        """
        if self._held and self._pages.quiet and not self._places.wanted:
            return
        self.give_back()
        self.take()


@cache
def places() -> Admission:
    """Of this process: one for each forward pass that may run."""
    return Admission(settings.current().concurrent_passes)


TURN: ContextVar[Turn | None] = ContextVar("turn", default=None)
"""Of the computation that runs in this thread."""


@contextmanager
def released() -> Iterator[None]:
    """Within it this thread only waits: its turn, if it has one, is somebody else's.

    Raises:
        Exception: as :meth:`Turn.take`.
    """
    turn = TURN.get()
    if turn is not None:
        turn.give_back()
    yield
    if turn is not None:
        turn.take()
