"""The page as a whole: all predictions, or one of them opened."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.mistakes import (
    confusion,
    detail,
    gallery,
    labelling,
    labels,
    preprocessing,
    summary,
)
from attnlib.dashboard.parts import chosen, verdict
from attnlib.dashboard.state.workspace import Workspace


def show(space: Workspace) -> None:
    """What came in, then the gallery or the opened image."""
    labelling.strange(space)
    summary.line(space)
    labelling.problems(space)
    labelling.table(space)
    name = st.session_state.get("image")
    if name is not None:
        verdict.back_button()
        detail.show(space, name)
        return
    if problem := chosen.absent(space):
        st.warning(problem)
    kind = space.vit.outputs.kind
    if kind in ("classes", "binary"):
        matrix = st.expander(
            "Confusion matrix", icon=":material/grid_on:", key="confusion_open", on_change="rerun"
        )
        if matrix.open:
            with matrix:
                st.caption("Click a cell to see its images below; double-click to see all again.")
                confusion.show(space)
    if kind in ("labels", "binary"):
        labels.show(space)
    preprocessing.show(space)
    st.subheader("Wrong predictions first" if space.vit.outputs.classifies else "Images")
    gallery.show(space)
    summary.exports(space)
