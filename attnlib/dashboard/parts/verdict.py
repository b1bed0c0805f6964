"""What the model said about one image, and whether it is right."""

from __future__ import annotations

import html

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.state.workspace import Workspace


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
