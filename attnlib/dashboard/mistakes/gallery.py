"""The gallery: one card for each prediction, wrong ones first."""

from __future__ import annotations

import streamlit as st

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.parts import pictures
from attnlib.dashboard.parts.pictures import Style
from attnlib.dashboard.parts.verdict import verdict
from attnlib.dashboard.state.workspace import Workspace

PER_PAGE = 6
THUMB = 120
SORTS: dict[str, audit.SortKey] = {
    "Confidence": "confidence",
    "Margin": "margin",
    "Loss": "loss",
    "Entropy of attention": "entropy",
}
SHOWN: dict[str, str] = {
    "Wrong": "wrong",
    "Right": "right",
    "No label": "unlabelled",
    "All": "all",
}


def show(space: Workspace, cell: tuple[int, int] | None = None) -> None:
    """Filters, then one page of cards.

    Args:
        cell: (true, predicted) class chosen in the confusion matrix, if any.
    """
    chosen = _filtered(space, cell)
    if not chosen:
        st.info("No image fits these filters." if space.predictions else "No results yet.")
        return
    pages = -(-len(chosen) // PER_PAGE)
    page = 1
    if pages > 1:
        page = st.pagination(pages, key="gallery_page")
    for prediction in chosen[(page - 1) * PER_PAGE : page * PER_PAGE]:
        card(space, prediction)


def _filtered(space: Workspace, cell: tuple[int, int] | None) -> list[Prediction]:
    any_label = any(p.label is not None for p in space.predictions)
    present = sorted({p.label for p in space.predictions if p.label is not None})
    guessed = sorted({p.predicted for p in space.predictions})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        only = st.segmented_control(
            "Show",
            list(SHOWN),
            default="Wrong" if any_label else "All",
            required=True,
            key=f"gallery_only_{any_label}",
            help="Which predictions the gallery shows.",
        )
        sort = st.selectbox(
            "Sort by",
            list(SORTS),
            key="gallery_sort",
            width=190,
            help="Highest first: confident mistakes and large losses are at the top.",
        )
        true = st.selectbox(
            "True class",
            present,
            index=None,
            format_func=space.class_name,
            key="gallery_true",
            placeholder="any",
            width=160,
            help="Only images of this class.",
        )
        predicted = st.selectbox(
            "Predicted class",
            guessed,
            index=None,
            format_func=space.class_name,
            key="gallery_predicted",
            placeholder="any",
            width=160,
            help="Only images that the model takes for this class.",
        )
    if cell is not None:
        true, predicted = cell
        only = "All"
    picked = audit.select(
        space.table,
        true=None if true is None else {true},
        predicted=None if predicted is None else {predicted},
        only=SHOWN[only or "All"],  # type: ignore[arg-type]
    )
    order = audit.order(space.table.iloc[picked], SORTS[sort or "Confidence"])
    return [space.predictions[picked[i]] for i in order]


def card(space: Workspace, prediction: Prediction) -> None:
    """One prediction: the verdict, the top five, the maps, and what to compare them with."""
    case = cases.build(space, prediction, Style(), side=2 * THUMB)
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            with st.container(width=216, gap="small"):
                verdict(space, prediction)
            for panel in case.panels:
                _thumb(panel)
            for panel in case.references:
                _thumb(panel)
        if case.problem:
            st.caption(case.problem)


def _thumb(panel: cases.Panel) -> None:
    pictures.show(panel.picture, THUMB, caption=panel.caption, alt=panel.caption)
