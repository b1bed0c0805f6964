"""What the model said about one image, and whether it is right."""

from __future__ import annotations

import html

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.state.workspace import Workspace


def verdict(space: Workspace, prediction: Prediction, key: str = "card") -> None:
    """Name, true and predicted class, the five most probable classes as bars, and “Open”."""
    outcome = space.outcomes.get(prediction.name)
    done = ", ".join(outcome.notes) if outcome is not None else ""
    note = " ".join(filter(None, (space.by_name[prediction.name].note, done)))
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


GREEN, ORANGE, GREY = "#009e73", "#d55e00", "#8a97a5"


def _verdict_html(space: Workspace, prediction: Prediction) -> str:
    """Bars as HTML: five of them on each of many cards would be as many charts."""
    name = html.escape(prediction.name)
    colour, word = {
        "wrong": (ORANGE, "wrong"),
        "right": (GREEN, "right"),
        "unlabelled": ("#7a8794", "no label" if prediction.classifies else "no classes"),
    }[prediction.outcome]
    shown = prediction.top(5)
    listed = {index for index, _ in shown}
    shown += [
        (index, float(prediction.probabilities[index]))
        for index in sorted(prediction.missed | prediction.extra)
        if prediction.kind == "labels" and index not in listed
    ]
    rows = [_row(space, prediction, index, value) for index, value in shown]
    return (
        f"<div title='{name}' style='font-size:.8rem;overflow:hidden;text-overflow:ellipsis;"
        f"white-space:nowrap'><b style='color:{colour}'>{word}</b> · {name}</div>" + "".join(rows)
    )


def _row(space: Workspace, prediction: Prediction, index: int, value: float) -> str:
    label, (role, bar) = html.escape(space.class_name(index)), _role(prediction, index)
    text = (
        "<div style='display:flex;justify-content:space-between;gap:.5rem;font-size:.8rem'>"
        f"<span style='overflow:hidden;text-overflow:ellipsis;white-space:nowrap'>{label} "
        f"<span style='opacity:.65'>{role}</span></span>"
        f"<span style='font-variant-numeric:tabular-nums'>{space.vit.outputs.shown(value)}</span>"
        "</div>"
    )
    if not prediction.classifies:
        return text
    filled = (
        f"<div style='height:4px;border-radius:2px;background:{bar};"
        f"width:{max(value, 0.004):.1%};margin-bottom:.2rem'></div>"
    )
    if prediction.kind != "labels":
        return text + filled
    mark = (
        "<div style='position:absolute;top:-1px;height:6px;width:2px;background:currentColor;"
        f"left:{prediction.threshold:.1%}' title='threshold'></div>"
    )
    return f"{text}<div style='position:relative'>{mark}{filled}</div>"


def _role(prediction: Prediction, index: int) -> tuple[str, str]:
    """What a class is to this prediction, in words, and the colour of its bar."""
    if prediction.kind == "labels":
        if index in prediction.missed:
            return "true, missed", ORANGE
        if index in prediction.extra:
            return "not true", ORANGE
        if index in prediction.said:
            return ("predicted · true", GREEN) if prediction.true else ("predicted", ORANGE)
        return "", GREY
    roles = ["predicted"] if prediction.classifies and index == prediction.predicted else []
    roles += ["true"] if index == prediction.label else []
    colour = GREEN if index == prediction.label else ORANGE if roles else GREY
    return " · ".join(roles), colour


def back_button() -> None:
    """Close the opened image."""
    st.button(
        "All images",
        icon=":material/arrow_back:",
        on_click=lambda: st.session_state.update(image=None),
        help="Back to the gallery.",
    )
