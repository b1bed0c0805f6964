"""Work beside the page: one way to run it, and one rule for when it ends.

Work lives as long as its visitor's session is connected and wants it, whichever page is open. Of
one person only so much runs at a time, and its forward passes come after those of pages.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from concurrent import futures
from typing import Generic, TypeVar

from attnlib import settings
from attnlib.capture.admission import ASKER, Asker
from attnlib.dashboard.state import turns
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.dashboard.state.lines import Lines
from attnlib.errors import AttnlibError

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[int, int], None]

# A reload or a weak network breaks the connection for some seconds; nobody left for that.
GRACE_S = 15.0
# What a page says of work that has not begun.
WAITING = "waiting for your other computations"

# Threads are made when they are needed. Most of them wait: forward passes queue for admission,
# so that a place in the pool must never be what a visitor waits for.
_POOL = futures.ThreadPoolExecutor(max_workers=512, thread_name_prefix="work")
_LINES = Lines(lambda: settings.current().max_jobs)
_ENDING = threading.Event()
# The pool's own exit handler waits for whatever runs, and the handlers of `atexit` come after it.
threading._register_atexit(_ENDING.set)  # type: ignore[attr-defined]


class Stopped(Exception):
    """Raised inside work that nobody wants any longer. The message says why."""


class Work(Generic[T]):
    """One computation in a thread of the pool.

    Args:
        compute: does it, and calls its argument with (steps done, steps) as it goes, which is
            where it can be stopped. It runs in another thread: it MUST NOT call Streamlit.
        key: what it is computed from; another key means another result.
        connected: whether the visitor's session is connected now; asked from any thread.
        person: whose forward passes and turns these are; "" for what takes none, since it hardly
            computes.
        counted: whether it is one of the computations of which a person may have so many.
        clock: seconds that never go back.

    Attributes:
        done, total: steps.
        result: None until there is one.
        failure: why there is no result, or "".
        finished: whether it has ended, with a result or a failure.
    """

    def __init__(
        self,
        compute: Callable[[Progress], T],
        *,
        key: Hashable = None,
        connected: Callable[[], bool] = lambda: True,
        person: str = "",
        counted: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self.done, self.total = 0, 1
        self.result: T | None = None
        self.failure = ""
        self.finished = False
        self._compute, self._connected, self._clock = compute, connected, clock
        self._unwanted = False
        self._missed_since: float | None = None
        self._asker = Asker(person, beside=True, here=self._here)
        self._counted = counted and person != ""
        self._turn = turns.Turn(turns.places(), self._asker) if person else None
        self._ended = threading.Event()

    def start(self, wait: float = 0.0) -> None:
        """Begin in the pool, and wait up to ``wait`` seconds for a result that comes at once."""
        if self._counted:
            _LINES.join(self._asker.person, self._begin)
        else:
            _POOL.submit(self.run)
        if wait:
            with DRAWING.waits():
                self._ended.wait(wait)

    @property
    def waiting(self) -> bool:
        """Whether other computations of the same person have to end before it begins."""
        return self._counted and _LINES.waits(self._asker.person, self._begin)

    def stop(self) -> None:
        """Say that the result is not wanted any longer."""
        self._unwanted = True
        if self._counted and _LINES.leave(self._asker.person, self._begin):
            self.run()

    def _begin(self) -> None:
        _POOL.submit(self._run_in_line)

    def _run_in_line(self) -> None:
        try:
            self.run()
        finally:
            _LINES.end(self._asker.person)

    def run(self) -> None:
        """Compute in this thread. Never raises."""
        before, turn = ASKER.set(self._asker), turns.TURN.set(self._turn)
        try:
            self._check()
            if self._turn is not None:
                self._turn.take()
            self.result = self._compute(self._report)
        except Stopped as reason:
            self.failure = str(reason)
        except AttnlibError as error:
            self.failure = str(error)
        except Exception:
            log.exception("work beside the page failed")
            self.failure = "This could not be computed; the server's log says why."
        finally:
            ASKER.reset(before)
            turns.TURN.reset(turn)
            if self._turn is not None:
                self._turn.give_back()
        self.finished = True
        self._ended.set()

    def _report(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        self._check()
        if self._turn is not None:
            self._turn.give_way()

    def _here(self) -> bool:
        """While its page is away it waits, and keeps no turn from those who are there.

        Raises:
            Stopped: as :meth:`_check`.
        """
        self._check()
        here = self._missed_since is None
        if not here and self._turn is not None:
            # It would wait for a pass with the turn that those who are there wait for.
            self._turn.give_back()
        return here

    def _check(self) -> None:
        """Stop here if nobody wants the result.

        Raises:
            Stopped: somebody said so, the session is gone, or the process ends.
        """
        if self._unwanted:
            raise Stopped("Stopped.")
        if _ENDING.is_set():
            raise Stopped("Stopped, since the server is being shut down.")
        if self._connected():
            self._missed_since = None
        elif self._missed_since is None:
            self._missed_since = self._clock()
        elif self._clock() - self._missed_since > GRACE_S:
            raise Stopped("Stopped, since the page was closed.")
