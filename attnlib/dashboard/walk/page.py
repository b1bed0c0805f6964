"""The page as a whole."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import address, controls, views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.walk import explorer, place, play_words, steps, temperature
from attnlib.dashboard.walk.place import Place
from attnlib.errors import AttnlibError

PARTS: dict[str, Callable[[Place], None]] = {
    "Step by step": steps.show,
    "Temperature": temperature.show,
    "Head explorer": explorer.show,
}
WORDS = "Playground"


def part() -> str:
    """Which part of the page is open."""
    return controls.segments(
        "walk_part",
        "Part",
        [*PARTS, WORDS],
        help="One computation step by step, its temperature, other heads, or words to play with.",
    )


@address.fragment
def show(space: Workspace, prediction: Prediction, chosen: str) -> None:
    """The image on the left, what happens to its query on the right."""
    with st.container(horizontal=True, gap="medium"):
        try:
            here = place.choose(space.about(prediction.name), prediction)
        except AttnlibError as error:
            st.warning(f"{literal(str(error))} The playground needs no model.")
            return
        with st.container(width=700):
            views.guarded(PARTS[chosen])(here)


@address.fragment
def words() -> None:
    """The part that needs no image."""
    play_words.show()
