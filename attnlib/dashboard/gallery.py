"""The gallery: one card for each prediction, wrong ones first."""

from __future__ import annotations

import html

import streamlit as st

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.dashboard import case as cases
from attnlib.dashboard.pictures import Style, encoded
from attnlib.dashboard.workspace import Workspace

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
        space.predictions,
        true=None if true is None else {true},
        predicted=None if predicted is None else {predicted},
        only=SHOWN[only or "All"],  # type: ignore[arg-type]
    )
    order = audit.order([space.predictions[i] for i in picked], SORTS[sort or "Confidence"])
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
    with st.container(width=THUMB, gap=None):
        st.image(encoded(panel.picture), width=THUMB, caption=panel.caption, alt=panel.caption)


def verdict(space: Workspace, prediction: Prediction, key: str = "card") -> None:
    """Name, true and predicted class, the five most probable classes as bars, and “Open”."""
    note = space.by_name[prediction.name].note
    st.html(
        _verdict_html(space, prediction)
        + (f"<small style='opacity:.7'>{html.escape(note)}</small>" if note else "")
    )
    if key == "card":
        st.button(
            "Open",
            key=f"open_{prediction.name}",
            icon=":material/zoom_in:",
            on_click=_open,
            args=(prediction.name,),
            help="Look at this image closely: every method, layer and head.",
        )


def _open(name: str) -> None:
    st.session_state["image"] = name


def _verdict_html(space: Workspace, prediction: Prediction) -> str:
    """Bars as HTML: five of them on each of many cards would be as many charts."""
    name = html.escape(prediction.name)
    colour = {"wrong": "#d55e00", "right": "#009e73", "unlabelled": "#7a8794"}[prediction.outcome]
    word = {"wrong": "wrong", "right": "right", "unlabelled": "no label"}[prediction.outcome]
    rows = []
    for index, probability in prediction.top(5):
        role = ""
        if index == prediction.predicted:
            role = "predicted"
        if index == prediction.label:
            role = f"{role} · true" if role else "true"
        bar = "#009e73" if index == prediction.label else "#d55e00"
        if not role:
            bar = "#8a97a5"
        label = html.escape(space.class_name(index))
        rows.append(
            "<div style='display:flex;justify-content:space-between;gap:.5rem;font-size:.8rem'>"
            f"<span style='overflow:hidden;text-overflow:ellipsis;white-space:nowrap'>{label} "
            f"<span style='opacity:.65'>{role}</span></span>"
            f"<span style='font-variant-numeric:tabular-nums'>{probability:.1%}</span></div>"
            f"<div style='height:4px;border-radius:2px;background:{bar};"
            f"width:{max(probability, 0.004):.1%};margin-bottom:.2rem'></div>"
        )
    return (
        f"<div title='{name}' style='font-size:.8rem;overflow:hidden;text-overflow:ellipsis;"
        f"white-space:nowrap'><b style='color:{colour}'>{word}</b> · {name}</div>" + "".join(rows)
    )


def back_button() -> None:
    """Close the opened image."""
    st.button(
        "All images",
        icon=":material/arrow_back:",
        on_click=lambda: st.session_state.update(image=None),
        help="Back to the gallery.",
    )
