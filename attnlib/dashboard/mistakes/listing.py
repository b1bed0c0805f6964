"""The gallery as a table: sortable, searchable; a click on a row opens the image."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened
from attnlib.dashboard.triage.order import Shown

COLUMNS = {
    "image": "image",
    "true_class": "true class",
    "predicted_class": "predicted class",
    "outcome": "outcome",
    "confidence": "confidence",
    "margin": "margin",
    "loss": "loss (nats)",
    "lead": "lead over the true class",
    "probability_true": "probability of the true class",
    "entropy": "entropy of attention",
    "tags": "tags",
    "should_be": "should be",
    "note": "note",
}
FIRST = ["image", "true_class", "predicted_class", "outcome", "confidence", "loss", "tags"]


def show(space: Workspace, shown: Shown) -> None:
    """All images that pass the filters, a row each, in the gallery's order."""
    columns = controls.several(
        "gallery_columns",
        "Columns",
        list(COLUMNS),
        default=FIRST,
        title=COLUMNS.__getitem__,
        wrap=True,
        help="What stands in the table.",
    )
    frame = table(space, shown)
    st.dataframe(
        frame[columns or FIRST],
        hide_index=True,
        height=min(35 * (len(frame) + 1) + 3, 640),
        column_config={
            name: st.column_config.ProgressColumn(title, min_value=0, max_value=1, format="percent")
            if name in ("confidence", "probability_true")
            else st.column_config.Column(title)
            for name, title in COLUMNS.items()
        },
        key="gallery_table",
        on_select=lambda: _opened(frame["image"].tolist()),
        selection_mode="single-cell",
    )
    st.caption(
        "A click opens the image. The magnifier at the upper right searches; a click on a heading "
        f"sorts. {audit.HEADINGS['entropy'].capitalize()}: 1 is looking everywhere alike."
    )


def table(space: Workspace, shown: Shown) -> pd.DataFrame:
    """The rows with what people said, in the gallery's order."""
    frame = space.said_table
    return frame.set_index("image", drop=False).loc[shown.names].reset_index(drop=True)


def _opened(names: list[str]) -> None:
    cells = st.session_state["gallery_table"].selection.cells
    if cells and 0 <= cells[0][0] < len(names):
        opened.open_image(names[cells[0][0]])
