"""Long computations that one visitor asked for: beside the page, with progress, to be stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import streamlit as st

from attnlib.dashboard.state.jobs import ABANDONED_S
from attnlib.errors import AttnlibError

log = logging.getLogger(__name__)

T = TypeVar("T")
Progress = Callable[[int, int], None]


class Stopped(Exception):
    """Raised inside a computation whose visitor stopped it or left."""


class Task(Generic[T]):
    """One computation in a thread of its own.

    Args:
        key: what it is computed from; another key means another result.
        work: does it, and reports (steps done, steps) as it goes.

    Attributes:
        done, total: steps.
        result: once it is finished.
        failure: why there is no result, or "".
    """

    def __init__(self, key: Hashable, work: Callable[[Progress], T]) -> None:
        self.key = key
        self.done, self.total = 0, 1
        self.result: T | None = None
        self.failure = ""
        self.finished = False
        self._work = work
        self._stopped = False
        self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="task", daemon=True)

    def start(self, patience: float = 0.0) -> None:
        """Begin, and wait ``patience`` seconds for a result that comes at once."""
        self._thread.start()
        self._thread.join(patience)

    def stop(self) -> None:
        self._stopped = True

    def look(self) -> None:
        """Say that somebody is still interested."""
        self._seen = time.monotonic()

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self._stopped or time.monotonic() - self._seen > ABANDONED_S:
            raise Stopped

    def _run(self) -> None:
        try:
            self.result = self._work(self._progress)
        except Stopped:
            self.failure = "Stopped."
        except AttnlibError as error:
            self.failure = str(error)
        except Exception:
            log.exception("a task failed")
            self.failure = "This could not be computed; the server's log says why."
        self.finished = True


def run(
    name: str,
    key: Hashable,
    work: Callable[[Progress], T],
    *,
    button: str,
    help: str,
    eager: bool = False,
) -> T | None:
    """The result for ``key``, or the means to get it: a button, then a progress bar.

    Args:
        name: which of the visitor's computations this is; a new key replaces the old one.
        work: pure computation; it runs in another thread, so it MUST NOT call Streamlit.
        button: label of the button that starts it.
        eager: start without being asked.
    """
    tasks: dict[str, Task[Any]] = st.session_state.setdefault("tasks", {})
    task = tasks.get(name)
    if task is not None and task.key != key:
        task.stop()
        task = tasks.pop(name) and None
    if task is None:
        place = st.empty()
        if not eager and not place.button(button, key=f"task_{name}", help=help, type="primary"):
            return None
        place.empty()
        task = tasks[name] = Task(key, work)
        task.start(patience=0.5)
    if not task.finished:
        _running(task, button)
        return None
    if task.failure:
        st.warning(task.failure)
        if st.button("Try again", key=f"again_{name}", help="Start this computation anew."):
            del tasks[name]
            st.rerun()
        return None
    result: T | None = task.result
    return result


@st.fragment(run_every=0.7)
def _running(task: Task[Any], title: str) -> None:
    task.look()
    if task.finished:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        share = min(1.0, task.done / max(1, task.total))
        st.progress(share, f"{title}: {task.done} of {task.total}")
        st.button("Stop", key=f"stop_{id(task)}", on_click=task.stop, help="Stop computing this.")
