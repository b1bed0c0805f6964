"""Forwards, back and play through the steps."""

from __future__ import annotations

import time

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.walk.place import Place
from attnlib.dashboard.walk.steps import Step, steps_of

SECONDS = 3.0


def show(place: Place) -> None:
    """The controls and the present step; while it plays, the step moves on by itself."""
    playing = bool(st.session_state.get("walk_playing"))
    st.fragment(_player, run_every=1.0 if playing else None)(place)


def _player(place: Place) -> None:
    steps = steps_of(place)
    titles = [step.title for step in steps]
    known = OneOf(range(len(steps)), titles.__getitem__)
    now = address.value("walk_step", 0, known, label="Step")
    playing = bool(st.session_state.get("walk_playing"))
    if playing and time.monotonic() - st.session_state.get("walk_moved", 0.0) > SECONDS:
        if now == len(steps) - 1:
            st.session_state["walk_playing"] = False
            st.rerun()
        now += 1
        _go(now)
        address.value("walk_step", 0, known, label="Step")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Back",
            icon=":material/chevron_left:",
            disabled=now == 0,
            on_click=_go,
            args=(now - 1,),
            key="walk_back",
            help="The step before.",
        )
        st.button(
            "Next",
            icon=":material/chevron_right:",
            disabled=now == len(steps) - 1,
            on_click=_go,
            args=(now + 1,),
            key="walk_next",
            help="The step after.",
        )
        if st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=_play,
            args=(not playing, now, len(steps)),
            key="walk_play",
            help=f"Goes on by itself, a step every {SECONDS:g} seconds.",
        ):
            # The timer belongs to the fragment, which only a run of the whole page replaces.
            st.rerun()
        st.caption(f"Step {now + 1} of {len(steps)}")
    _menu(steps, now)
    st.latex(steps[now].formula)
    steps[now].show(place)
    address.flush()


def _menu(steps: list[Step], now: int) -> None:
    """All steps by name; a click goes there."""
    st.session_state["walk_menu"] = now
    st.segmented_control(
        "Step",
        range(len(steps)),
        format_func=lambda i: steps[i].title,
        required=True,
        key="walk_menu",
        on_change=lambda: _go(st.session_state["walk_menu"]),
        label_visibility="collapsed",
        help="Go straight to a step.",
    )


def _go(step: int | None) -> None:
    if step is not None:
        st.session_state["walk_step"] = step
    st.session_state["walk_moved"] = time.monotonic()


def _play(on: bool, now: int, count: int) -> None:
    st.session_state["walk_playing"] = on
    _go(0 if on and now == count - 1 else now)
