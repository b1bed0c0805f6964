"""Forwards, back and play through the steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import OneOf

SECONDS = 3.0


@dataclass(frozen=True)
class Step:
    """One step: its title, its formula in LaTeX, and what draws it."""

    title: str
    formula: str
    show: Callable[[], None]


def play(name: str, steps: Sequence[Step]) -> None:
    """The controls and the present step; while it plays, the step moves on by itself.

    Args:
        name: which walk this is; the keys of its controls begin with it.
    """
    playing = bool(st.session_state.get(f"{name}_playing"))
    st.fragment(_player, run_every=1.0 if playing else None)(name, steps)


def _player(name: str, steps: Sequence[Step]) -> None:
    titles = [step.title for step in steps]
    known = OneOf(range(len(steps)), titles.__getitem__)
    now = address.value(f"{name}_step", 0, known, label="Step")
    playing = bool(st.session_state.get(f"{name}_playing"))
    if playing and time.monotonic() - st.session_state.get(f"{name}_moved", 0.0) > SECONDS:
        if now == len(steps) - 1:
            st.session_state[f"{name}_playing"] = False
            st.rerun()
        now += 1
        _go(name, now)
        address.value(f"{name}_step", 0, known, label="Step")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back",
            icon=":material/chevron_left:",
            disabled=now == 0,
            on_click=_go,
            args=(name, now - 1),
            key=f"{name}_back",
            help="The step before.",
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            disabled=now == len(steps) - 1,
            on_click=_go,
            args=(name, now + 1),
            key=f"{name}_next",
            help="The step after.",
        )
        if st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=_play,
            args=(name, not playing, now, len(steps)),
            key=f"{name}_play",
            help=f"Goes on by itself, a step every {SECONDS:g} seconds.",
        ):
            # The timer belongs to the fragment, which only a run of the whole page replaces.
            st.rerun()
        st.caption(f"Step {now + 1} of {len(steps)}")
    _menu(name, steps, now)
    st.latex(steps[now].formula)
    steps[now].show()
    address.flush()


def _menu(name: str, steps: Sequence[Step], now: int) -> None:
    """All steps by name; a click goes there."""
    st.session_state[f"{name}_menu"] = now
    st.segmented_control(
        "Step",
        range(len(steps)),
        format_func=lambda i: steps[i].title,
        required=True,
        wrap=True,
        key=f"{name}_menu",
        on_change=lambda: _go(name, st.session_state[f"{name}_menu"]),
        label_visibility="collapsed",
        help="Go straight to a step.",
    )


def _go(name: str, step: int | None) -> None:
    if step is not None:
        st.session_state[f"{name}_step"] = step
    st.session_state[f"{name}_moved"] = time.monotonic()


def _play(name: str, on: bool, now: int, count: int) -> None:
    st.session_state[f"{name}_playing"] = on
    _go(name, 0 if on and now == count - 1 else now)
