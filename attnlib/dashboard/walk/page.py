"""The page as a whole."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.walk import explorer, place, play_words, player, temperature
from attnlib.errors import AttnlibError

PARTS = ("Step by step", "Temperature", "Head explorer", "Playground")


def part() -> str:
    """Which part of the page is open."""
    chosen = st.segmented_control(
        "Part",
        PARTS,
        default=PARTS[0],
        required=True,
        key="walk_part",
        bind="query-params",
        help="One computation step by step, its temperature, other heads, or words to play with.",
    )
    return chosen or PARTS[0]


@st.fragment
def show(space: Workspace, prediction: Prediction, chosen: str) -> None:
    """The image on the left, what happens to its query on the right."""
    with st.container(horizontal=True, gap="medium"):
        try:
            here = place.choose(space, prediction)
        except AttnlibError as error:
            st.warning(f"{error} The playground needs no model.")
            return
        with st.container(width=700):
            if chosen == "Temperature":
                temperature.show(here)
            elif chosen == "Head explorer":
                explorer.show(here)
            else:
                player.show(here)


def words() -> None:
    """The part that needs no image."""
    play_words.show()
