"""The box of the tour, above the real page: which step it is, and the ways on, back and out.

The step stands in the address and is kept from page to page. Each step sets controls of the page
that it is about; whoever leaves has all of them as they were before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Number
from attnlib.dashboard.state import startup
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.tour import steps
from attnlib.dashboard.tour.steps import SETS, STEPS

KEY = "tour"
# The step whose controls are set, and what they held before the first.
AT, BEFORE = "tour_at", "tour_before"
# Title of the page to turn to in the next run.
TURN = "tour_turn"


def start() -> None:
    """Begin with the first step, from the next run on."""
    go(1)


def go(step: int) -> None:
    """Go to a step, counted from 1, and to its page."""
    st.session_state[KEY], st.session_state[TURN] = step, STEPS[step - 1].page


def leave() -> None:
    """End the tour: everything is as it was before it."""
    st.session_state[KEY], st.session_state[TURN] = 0, STEPS[0].page
    st.session_state.pop(AT, None)
    nothing: address.Remembered = ({}, {})
    address.put_back(SETS, st.session_state.pop(BEFORE, nothing))
    steps.forget()


def begin(page: str) -> None:
    """Before anything is drawn: turn to the page of a step, and set what a new step sets.

    Args:
        page: title of the page that is to be drawn.
    """
    turn = st.session_state.pop(TURN, page)
    if turn != page:
        st.switch_page(startup.PAGES / steps.PAGES[turn])
    if not st.session_state.get(KEY) and KEY not in st.query_params:
        return
    step = address.value(KEY, 0, Number(0, len(STEPS)), label="Tour")
    if not step or _own():
        return
    if st.session_state.get(AT) is None:
        st.session_state[BEFORE] = address.remembered(SETS)
    if st.session_state.get(AT) != step:
        st.session_state[AT] = step
        STEPS[step - 1].enter()
    steps.take_over()


def _own() -> bool:
    """Whether there are images of the visitor's own, which stay."""
    visitor = st.session_state.get("session")
    return isinstance(visitor, Session) and visitor.own


def show(space: Workspace, page: str) -> None:
    """The box, where there is a tour.

    Args:
        page: title of the page that is drawn.
    """
    number = st.session_state.get(KEY, 0)
    if not number:
        return
    step = STEPS[number - 1]
    with st.container(border=True, key="tour-box", gap="small"):
        if _own():
            st.markdown(
                "**The tour needs the demo's pictures, and here are yours.** Begin a new "
                "workspace, and open the tour there."
            )
            _button("close", "Close", leave, help="Ends the tour.")
            return
        st.markdown(f"**{number} of {len(STEPS)} · {step.title}.** {step.words}")
        # Above what the step shows: pictures that come later move nothing under the mouse.
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            _ways(number, page)
        if page == step.page:
            step.draw(space)
        steps.look(space)


def _ways(number: int, page: str) -> None:
    """To the page of this step, back, on and out."""
    last = number == len(STEPS)
    if page != STEPS[number - 1].page:
        _button("here", "To this step", go, number, help="Opens its page.")
    if number > 1:
        _button("back", "Back", go, number - 1, help="The step before.")
    if not last:
        title = STEPS[number].title
        on = f"Next: {title[0].lower()}{title[1:]}"
        _button("next", on, go, number + 1, help="The step after.", main=True)
    out = "Finish" if last else "Skip the tour"
    _button("leave", out, leave, help="Ends the tour; everything is as it was before.", main=last)


def _button(
    key: str, label: str, act: Callable[..., None], *given: int, help: str, main: bool = False
) -> None:
    kind: Literal["primary", "secondary"] = "primary" if main else "secondary"
    st.button(label, key=f"tour_{key}", on_click=act, args=given, type=kind, help=help)
