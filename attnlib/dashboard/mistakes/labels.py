"""The table of labels: how often each is found, and how well its probability ranks."""

from __future__ import annotations

import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.state.workspace import Workspace


def show(space: Workspace) -> None:
    """One row for each label, those with the lowest average precision first."""
    found = audit.per_label(space.predictions, space.vit.class_names)
    if found.empty:
        st.info("No image has a label yet.")
        return
    st.caption(
        "Average precision and AUC say how well the label's probability ranks the images, "
        "whatever the threshold. By chance the first is the share of images that have the "
        "label, the second 0.5."
    )
    shown = found.sort_values("average_precision", kind="stable").drop(columns="index")
    share = st.column_config.NumberColumn(format="%.3f")
    headings = shown.rename(columns=audit.LABEL_HEADINGS)
    st.dataframe(
        headings,
        hide_index=True,
        column_config={str(name): share for name in headings.select_dtypes("float")},
    )
    rows = headings.to_dict("records")
    downloads.table([{str(k): v for k, v in row.items()} for row in rows], "labels")
