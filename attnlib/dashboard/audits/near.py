"""Mistakes beside the training images that the model finds most like them."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from attnlib.audit.label_quality import margin_of_parts
from attnlib.audit.neighbours import Found, Neighbour, Usual, nearest
from attnlib.audit.opened import SORTS, Opened, Where
from attnlib.dashboard.audits import another, narrowed
from attnlib.dashboard.audits.images import thumbnails
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted

Row = Mapping[Any, Any]
SHOWN, NEAREST = 6, 5
_SIDE = 72  # pixels: six stand in a row beside the sidebar


def show(space: Workspace, found: Opened) -> None:
    """The audit of the training set, then mistakes a page at a time."""
    training = another.choose(
        "audit_training",
        "Audit of the training set",
        found,
        "Made with the same model: “attnlib audit TRAINING --model … --out …”.",
    )
    if training is None:
        return
    st.caption(
        "Likeness is the cosine of what the model makes of two images before its last layer, 1 for "
        "the same. It says what a mistake may have been learned from. **It does not say whether a "
        "label is wrong**: neighbours share the model's errors. For that the score beside each "
        "image is better (“label score”: how far the probabilities are for the given label; "
        "Cleanlab's normalized margin, 0 against, 1 for); mistakes can be sorted by loss."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sort = controls.choice(
            "near_sort", "Mistakes by", SORTS[:4], title=lambda one: one.replace("_", " "),
            width=200, help="The largest first; of the true class's probability the smallest.",
        )  # fmt: skip
    where = narrowed.narrow(space, found, Where())
    if where is None:
        return
    count = found.count(where)
    if not count:
        st.info("There is no mistake here to look at.")
        return
    pages = -(-count // SHOWN)
    # Which page comes first, and its choice stands below: a link may name one.
    above = st.container()
    page = controls.page("near_page", pages, of=(where, sort))
    frame = found.page(
        where, sort, descending=sort != "probability_true", first=(page - 1) * SHOWN, count=SHOWN
    )
    with above:
        _page(found, training, frame)


def _page(found: Opened, training: Opened, frame: pd.DataFrame) -> None:
    """Some mistakes, each with its neighbours once they are found."""
    names = tuple(frame["name"])
    answer = tasks.run(
        "audit_near",
        (*found.stamp, *training.stamp, names),
        lambda progress: nearest(found, training, list(names), NEAREST, progress),
        button="Find the nearest training images",
        help="Compares the embedding of each with all of the training set.",
        eager=True,
    )
    if answer is None:
        return
    _usual(answer)
    for row, picture in zip(frame.to_dict("records"), thumbnails(found, list(names)), strict=True):
        _mistake(row, picture, answer.of.get(row["name"], []), training, answer.usual)
    downloads.table(lambda: lines(frame, answer), "nearest-training-images")


def _usual(answer: Found) -> None:
    usual = answer.usual
    if math.isnan(usual.least):
        st.caption("No image is right here, so how near is usual is not known.")
        return
    how = "" if answer.exact else " Found with an index: about one in a hundred is missed."
    st.caption(
        f"Near: of {counted(len(usual.similarities), 'right image')}, 95 % have a training image "
        f"with a likeness of {usual.least:.2f} or more.{how}"
    )


def label_score(row: Row) -> float:
    """Cleanlab's normalized margin of a mistake, 0 to 1."""
    true, said, apart = (
        np.array([row[key]], float) for key in ("probability_true", "confidence", "margin")
    )
    return float(margin_of_parts(true, said, apart, np.array([True]))[0])


def _mistake(
    row: Row, picture: str | None, near: list[Neighbour], training: Opened, usual: Usual
) -> None:
    name, label, said = (str(row[key]) for key in ("name", "label", "predicted"))
    head = (
        f"**{literal(name)}**: labelled {literal(label)}, predicted {literal(said)} "
        f"({row['confidence']:.0%}) · label score {label_score(row):.2f}"
    )
    with st.container(border=True):
        st.markdown(head)
        if near and not usual.near(near[0].similarity):
            st.markdown(
                ":material/explore_off: **Nothing in the training set is near**: 95 % of right "
                "images have something nearer."
            )
        cards = [_card(picture, name, f"labelled {label}", "this image", True)]
        for one, small in zip(near, thumbnails(training, [n.name for n in near]), strict=True):
            shown = "no label" if one.label is None else str(one.label)
            cards.append(_card(small, one.name, shown, f"likeness {one.similarity:.2f}", False))
        st.html("<div style='display:flex;flex-wrap:wrap;gap:.5rem'>" + "".join(cards) + "</div>")
        if near:
            _agreement(near, label, said)


def _agreement(near: list[Neighbour], label: str, said: str) -> None:
    like, unlike = (sum(one.label == name for one in near) for name in (said, label))
    st.caption(
        f"Of these {len(near)}, {like} {'has' if like == 1 else 'have'} the predicted label "
        f"{literal(said)} and {unlike} the given label {literal(label)}."
    )


def _card(picture: str | None, name: str, label: str, note: str, own: bool) -> str:
    """A picture with words under it, as HTML."""
    frame = "outline:2px solid currentColor;outline-offset:2px;" if own else ""
    size = f"width:{_SIDE}px;height:{_SIDE}px;"
    drawn = (
        f"<img src='{html.escape(picture, quote=True)}' alt='{html.escape(name, quote=True)}' "
        f"title='{html.escape(name, quote=True)}' "
        f"style='{size}object-fit:contain;border-radius:4px;{frame}'>"
        if picture
        else f"<div style='{size}display:flex;align-items:center;font-size:.75rem'>"
        "not there any longer</div>"
    )
    words = "margin-top:5px;font-size:.78rem;line-height:1.3;overflow-wrap:anywhere"
    return (
        f"<div style='width:{_SIDE + 8}px'>{drawn}<div style='{words}'>{html.escape(label)}<br>"
        f"<span style='opacity:.75'>{html.escape(note)}</span></div></div>"
    )


def lines(frame: pd.DataFrame, answer: Found) -> list[dict[str, object]]:
    """A line of a table for each neighbour."""
    return [
        {
            "image": row["name"],
            "label": row["label"],
            "predicted": row["predicted"],
            "label score": label_score(row),
            "place": place,
            "training image": one.name,
            "training label": one.label,
            "likeness": one.similarity,
            "near": answer.usual.near(one.similarity),
        }
        for row in frame.to_dict("records")
        for place, one in enumerate(answer.of.get(row["name"], []), 1)
    ]
