"""Long computations that one visitor asked for: a button, then progress, then the result."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from attnlib.dashboard.state import presence, results
from attnlib.dashboard.state.runner import WAITING, Work
from attnlib.dashboard.state.runner import Progress as Progress
from attnlib.pictures.markdown import literal

T = TypeVar("T")

# Seconds to wait for a result that comes at once, so that no progress flickers.
PATIENCE_S = 0.5


def run(
    name: str,
    key: Hashable,
    work: Callable[[Progress], T],
    *,
    button: str,
    help: str,
    eager: bool = False,
    shared: bool = False,
    percent: bool = False,
) -> T | None:
    """The result for ``key``, or the means to get it: a button, then a progress bar.

    Args:
        name: which of the visitor's computations this is; a new key replaces the old one.
        key: what the result depends on. For a shared result it MUST name all content, by
            SHA-256 and scalars, and every word that the result holds.
        work: pure computation; it runs in another thread, so it MUST NOT call Streamlit.
        button: label of the button that starts it.
        eager: start without being asked.
        shared: take the result from the store of all visitors, and keep it there.
        percent: whether its steps are shares of the whole that nobody counts.
    """
    running, task = _mine(), current(name, key)
    if task is None and shared:
        kept: T | None = results.kept((name, key))
        if kept is not None:
            return kept
    if task is None:
        place = st.empty()
        if not eager and not place.button(button, key=f"task_{name}", help=help, type="primary"):
            return None
        place.empty()
        task = begin(name, key, work, shared=shared, wait=PATIENCE_S)
    if not task.finished:
        _running(task, button, percent)
        return None
    if task.failure:
        st.warning(literal(task.failure))
        if st.button("Try again", key=f"again_{name}", help="Start this computation anew."):
            del running[name]
            st.rerun()
        return None
    result: T | None = task.result
    return result


def current(name: str, key: Hashable) -> Work[Any] | None:
    """The visitor's computation of that name; one that has another key is stopped and forgotten."""
    running = _mine()
    task = running.get(name)
    if task is not None and task.key != key:
        task.stop()
        del running[name]
        return None
    return task


def drop(name: str) -> None:
    """Stop a computation that nobody wants any longer, and forget it; a shared result stays."""
    task = _mine().pop(name, None)
    if task is not None:
        task.stop()


def begin(
    name: str,
    key: Hashable,
    work: Callable[[Progress], T],
    *,
    shared: bool = False,
    wait: float = 0.0,
) -> Work[T]:
    """Start what :func:`run` shows, or find it started; the page need not show it."""
    task = current(name, key)
    if task is None:
        compute = _keeping(name, key, work) if shared else work
        task = _mine()[name] = Work(
            compute, key=key, connected=presence.of_visitor(), person=presence.person()
        )
        task.start(wait=wait)
    return task


def known(name: str, key: Hashable) -> Any:
    """The result of a shared computation where there is one, whoever asked for it; else None."""
    task = _mine().get(name)
    if task is not None and task.key == key and task.result is not None:
        return task.result
    return results.kept((name, key))


def _mine() -> dict[str, Work[Any]]:
    found: dict[str, Work[Any]] = st.session_state.setdefault("tasks", {})
    return found


def _keeping(name: str, key: Hashable, work: Callable[[Progress], T]) -> Callable[[Progress], T]:
    """The same work, whose result is kept even if its visitor looks at something else by then."""

    def compute(progress: Progress) -> T:
        result = work(progress)
        # Some work hands out why there is no result; the error would keep all its frames alive.
        if not isinstance(result, Exception):
            results.keep((name, key), result)
        return result

    return compute


@st.fragment(run_every=0.7)
def _running(task: Work[Any], title: str, percent: bool) -> None:
    if task.finished:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        share = min(1.0, task.done / max(1, task.total))
        done = f"{share:.0%}" if percent else f"{task.done} of {task.total}"
        state = WAITING if task.waiting else done
        st.progress(share, f"{title}: {state}")
        st.button("Stop", key=f"stop_{id(task)}", on_click=task.stop, help="Stop computing this.")
