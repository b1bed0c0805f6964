"""The page as a whole: all predictions, or one of them opened."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.mistakes import detail, found, gallery, labelling, summary
from attnlib.dashboard.parts import chosen
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import concerns, opened, strip


def show(space: Workspace) -> None:
    """What came in, then the gallery; or the opened image."""
    name = st.session_state.get(opened.IMAGE)
    if name is not None:
        if strip.show(space, picture=False) is not None:
            concerns.show(space, name)
            detail.show(space, name)
        return
    summary.intro(space)
    labelling.strange(space)
    summary.line(space)
    labelling.problems(space)
    labelling.table(space)
    found.show(space)
    if problem := chosen.absent(space):
        st.warning(problem)
    gallery.show(space)
    concerns.wait_for_filter(space)
    summary.exports(space)
