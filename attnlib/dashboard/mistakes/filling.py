"""Maps of cards, computed beside the page: those in view first, then those of the next page."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from attnlib.dashboard.mistakes.case import Maps, Wanted, computed, kept
from attnlib.dashboard.state import presence, turns
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.dashboard.state.runner import Progress, Work
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.methods import Heat

# Seconds to wait for maps that come at once, so that nothing flickers with a quick model.
PATIENCE_S = 0.25
# How soon to look again whether there are cards, and how many are enough.
SOON_S, CARDS = 0.05, 12


class _Unwanted(Exception):
    """Nobody looks any longer at what is being made."""


class Filling:
    """The maps that one visitor's gallery waits for.

    Attributes:
        failed: why a map cannot be made.
        made: how many maps were tried so far.
        step: of the map that is being made, steps done and to do.
    """

    def __init__(self, space: Workspace) -> None:
        self.choice, self.samples = space.choice, space.samples
        self.failed: dict[Wanted, AttnlibError] = {}
        self.made = 0
        self.step = (0, 0)
        self._asked: frozenset[Wanted] = frozenset()
        self._now = False
        self._space = space
        self._queue: list[Wanted] = []
        self._work: Work[None] | None = None

    def maps(self, space: Workspace) -> Maps:
        """What is there; an error where a map cannot be made."""
        look = kept(space)

        def found(wanted: Wanted) -> Heat | None:
            if wanted in self.failed:
                raise self.failed[wanted]
            return look(wanted)

        return found

    @property
    def busy(self) -> bool:
        """Whether something is computed."""
        return self._work is not None and not self._work.finished

    def ask(
        self,
        space: Workspace,
        wanted: Sequence[Wanted],
        wait: float = PATIENCE_S,
        now: bool = False,
    ) -> None:
        """Have these made, in this order, instead of all others; wait a moment for them.

        Args:
            now: whether somebody looks at them, so that they do not wait for the first cards.
        """
        self._space, self._now = space, now
        self._asked, self._queue = frozenset(wanted), list(dict.fromkeys(wanted))
        if self._queue and not self.busy:
            # A page draws itself: what it draws waits for no other computation.
            self._work = Work(
                self._fill,
                connected=presence.of_visitor(),
                person=presence.person(),
                counted=False,
            )
            self._work.start()
        until, look = time.monotonic() + wait, kept(space)
        with DRAWING.waits():
            while time.monotonic() < until:
                if all(one in self.failed or look(one) is not None for one in self._asked):
                    return
                time.sleep(0.01)

    def _fill(self, progress: Progress) -> None:
        while self._queue:
            progress(self.made, self.made + len(self._queue))
            if not self._inspected_enough():
                with turns.released():
                    time.sleep(SOON_S)
                continue
            if not (queue := self._queue):
                # Asked for nothing more meanwhile.
                return
            wanted = queue.pop(0)

            def step(done: int, total: int, wanted: Wanted = wanted) -> None:
                progress(self.made, self.made + 1 + len(self._queue))
                self.step = (done, total)
                if wanted not in self._asked:
                    raise _Unwanted

            try:
                self.step = (0, 0)
                computed(self._space, step)(wanted)
            except AttnlibError as error:
                self.failed[wanted] = error
            except _Unwanted:
                continue
            self.made += 1

    def _inspected_enough(self) -> bool:
        """Whether the first cards are there: until then a map would keep them waiting."""
        job = self._space.session.job
        return self._now or job is None or job.finished or len(job.outcomes) >= CARDS


def current(space: Workspace) -> Filling:
    """The visitor's; a new one for another model, and for other images."""
    found: Filling | None = st.session_state.get("filling")
    of = space.choice, space.samples
    if found is None or (found.choice, found.samples) != of:
        if found is not None:
            found.ask(space, [])
        found = st.session_state["filling"] = Filling(space)
    return found
