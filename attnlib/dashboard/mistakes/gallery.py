"""The gallery: one card for each prediction, wrong ones first."""

from __future__ import annotations

import streamlit as st

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.parts import controls, pictures
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


def show(space: Workspace) -> None:
    """Filters, then one page of cards."""
    chosen, filters = _filtered(space)
    if not chosen:
        st.info("No image fits these filters." if space.predictions else _nothing(space))
        return
    pages = -(-len(chosen) // PER_PAGE)
    page = controls.page("gallery_page", pages, of=filters) if pages > 1 else 1
    for prediction in chosen[(page - 1) * PER_PAGE : page * PER_PAGE]:
        card(space, prediction)


def _nothing(space: Workspace) -> str:
    job = space.session.job
    if job is not None and job.finished and job.refusals:
        return "No image could be inspected; the reasons stand above."
    return "No results yet."


def narrow(true: int | None, predicted: int | None, began: bool = False) -> None:
    """Show only one cell of the confusion matrix; both None is what no cell was chosen for.

    Only a change counts: the chart tells its cell at every run, the filters are free in between.

    Args:
        began: whether the chart has just been drawn anew, so that nobody can have clicked in it.
    """
    cell = (true, predicted)
    before = st.session_state.get("gallery_cell", (None, None))
    st.session_state["gallery_cell"] = cell
    if began or cell == before:
        return
    st.session_state["gallery_true"], st.session_state["gallery_predicted"] = cell
    if None not in cell:
        st.session_state["gallery_only"] = "All"


def _filtered(space: Workspace) -> tuple[list[Prediction], tuple[object, ...]]:
    """The predictions that fit, in order; and what was asked for."""
    any_label = any(p.true is not None for p in space.predictions)
    present = sorted(set().union(*[p.true or () for p in space.predictions]))
    guessed = sorted(set().union(*[p.said for p in space.predictions]))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        only = controls.segments(
            "gallery_only",
            "Show",
            list(SHOWN),
            default="Wrong" if any_label else "All",
            of=any_label,
            help="Which predictions the gallery shows.",
        )
        sort = controls.choice(
            "gallery_sort",
            "Sort by",
            list(SORTS),
            width=190,
            help="Highest first: confident mistakes and large losses are at the top.",
        )
        true = controls.maybe(
            "gallery_true",
            "True class",
            present,
            title=space.class_name,
            placeholder="any",
            width=160,
            help="Only images of this class.",
        )
        predicted = controls.maybe(
            "gallery_predicted",
            "Predicted class",
            guessed,
            title=space.class_name,
            placeholder="any",
            width=160,
            help="Only images that the model takes for this class.",
        )
    picked = audit.select(
        space.table,
        true=None if true is None else {true},
        predicted=None if predicted is None else {predicted},
        only=SHOWN[only],  # type: ignore[arg-type]
    )
    order = audit.order(space.table.iloc[picked], SORTS[sort])
    return [space.predictions[picked[i]] for i in order], (only, sort, true, predicted)


def card(space: Workspace, prediction: Prediction) -> None:
    """One prediction: the verdict, the top five, the maps, and what to compare them with."""
    case = cases.build(space, prediction, Style(), side=2 * THUMB)
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            with st.container(width=216, gap="small"):
                verdict(space, prediction)
            # A row each, so that no reference is parted from its map.
            with st.container(width=4 * THUMB + 64, gap="small"):
                for row in (case.panels, case.references):
                    with st.container(horizontal=True, gap="small"):
                        for panel in row:
                            _thumb(panel)
        if case.problem:
            st.caption(case.problem)


def _thumb(panel: cases.Panel) -> None:
    pictures.show(panel.picture, THUMB, caption=panel.caption, alt=panel.caption)
