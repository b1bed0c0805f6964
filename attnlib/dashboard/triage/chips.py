"""What the gallery is narrowed to: how many images, and a chip for each filter that is on."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters import FILTERS
from attnlib.dashboard.triage.order import Shown


def show(space: Workspace, shown: Shown) -> None:
    """One line; a click on a chip takes its filter away."""
    on = [(one, words) for one in FILTERS if (words := one.words(space, one.value(space)))]
    if not on:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        count = len(shown.predictions)
        st.caption(f"{count} of {len(space.predictions)} images:", width="content")
        for one, words in on:
            st.button(
                literal(words if len(words) <= 60 else words[:59] + "…"),
                key=f"chip_{one.key}",
                icon=":material/close:",
                on_click=one.clear,
                help="Take this filter away.",
            )
