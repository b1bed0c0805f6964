"""The classes of an audit: error rates, and which are taken for which."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.dashboard.audits import narrowed
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.state.workspace import Workspace

SHOWN = 200


def show(space: Workspace, found: Opened) -> None:
    """Two tables side by side; a click on a pair shows its images."""
    classes, pairs = found.classes(), found.confusion(SHOWN)
    if classes.empty:
        st.info("No image of the audit has a label that the model knows.")
        return
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=440):
            st.subheader("By true class")
            st.dataframe(
                classes,
                hide_index=True,
                height=_height(classes),
                column_config={
                    "label": "true class",
                    "error_rate": st.column_config.ProgressColumn(
                        "error rate", min_value=0, max_value=1, format="percent"
                    ),
                },
            )
            downloads.table(lambda: _rows(classes), "audit-classes")
        with st.container(width=520):
            st.subheader("Taken for which")
            st.dataframe(
                pairs,
                hide_index=True,
                height=_height(pairs),
                key="audit_pairs",
                on_select=lambda: _narrow(pairs),
                selection_mode="single-row",
                column_config={
                    "label": "true class",
                    "confidence": st.column_config.NumberColumn("confidence", format="percent"),
                },
            )
            most = f"The {SHOWN} commonest mistakes; a" if len(pairs) == SHOWN else "A"
            st.caption(f"{most} click shows their images.")
            downloads.table(lambda: _rows(pairs), "audit-confusion")


def _narrow(pairs: pd.DataFrame) -> None:
    rows = st.session_state["audit_pairs"].selection.rows
    if rows and 0 <= rows[0] < len(pairs):
        row = pairs.iloc[rows[0]]
        narrowed.to(label=row["label"], predicted=row["predicted"])


def _rows(frame: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _height(frame: pd.DataFrame) -> int:
    return min(35 * (len(frame) + 1) + 3, 520)
