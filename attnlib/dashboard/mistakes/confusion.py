"""The confusion matrix: which classes are taken for which; a click filters the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from attnlib import audit
from attnlib.dashboard.parts import charts
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import filters

MAX_CLASSES = 24
CELL = 30  # pixels


def show(space: Workspace) -> None:
    """The confusion matrix; a click on a cell sets the gallery's filters to it."""
    st.caption("Click a cell to see its images below; double-click to see all again.")
    pairs = audit.confusion(space.table)
    shown = audit.confused_classes(pairs, MAX_CLASSES)
    if not shown:
        return
    present = len(set(pairs["true"]) | set(pairs["predicted"]))
    names = [f"{space.class_name(i)}" for i in shown]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for name, i in zip(names, shown, strict=True)]
    part = matrix(pairs, shown)
    key = f"confusion_{len(shown)}"
    drawn_before = key in st.session_state
    event = charts.draw(
        _cells,
        _rows(part, names),
        words="Confusion matrix: rows are true classes, columns predicted ones",
        width=160 + CELL * len(shown),
        height=120 + CELL * len(shown),
        numbers={"most": max(1, int((part - np.diag(part.diagonal())).max()))},
        selection="cell",
        key=key,
    )
    if present > len(shown):
        st.caption(f"The {len(shown)} classes with the most errors, of {present} present.")
    picked = (event or {}).get("selection", {}).get("cell") or [{}]
    cell = picked[0]
    by_name = dict(zip(names, shown, strict=True))
    true, predicted = (by_name.get(cell.get(side)) for side in ("true", "predicted"))
    _narrow(true, predicted, began=not drawn_before)


def _narrow(true: int | None, predicted: int | None, began: bool) -> None:
    """Filter the gallery by the cell that was clicked; both None is what no cell was chosen for.

    Only a change counts: the chart tells its cell at every run, the filters are free in between.

    Args:
        began: whether the chart has just been drawn anew, so that nobody can have clicked in it.
    """
    cell = (true, predicted)
    before = st.session_state.get("confusion_cell", (None, None))
    st.session_state["confusion_cell"] = cell
    if began or cell == before:
        return
    filters.CELL.put(true, predicted)
    if None not in cell:
        filters.OUTCOME.clear()


def matrix(pairs: pd.DataFrame, classes: Sequence[int]) -> NDArray[np.int64]:
    """Images by true class (rows) and predicted class (columns) of some classes: ``(K, K)``."""
    place = {index: i for i, index in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for true, predicted, images in pairs.itertuples(index=False):
        if true in place and predicted in place:
            counts[place[true], place[predicted]] = images
    return counts


def _rows(counts: NDArray[np.int64], names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "true": true,
            "predicted": predicted,
            "images": int(counts[i, j]),
            "kind": "right" if i == j else "wrong",
        }
        for i, true in enumerate(names)
        for j, predicted in enumerate(names)
    ]


def _cells() -> alt.LayerChart:
    axis: dict[str, Any] = {"labelLimit": 110, "ticks": False, "domain": False, "labelPadding": 6}
    axis["labelOverlap"] = False
    base = charts.rows().encode(
        alt.X("predicted:N", sort=None, axis=alt.Axis(**axis, labelAngle=-50)),
        alt.Y("true:N", sort=None, axis=alt.Axis(**axis)),
        tooltip=charts.tips("true", "predicted", "images"),
    )
    cell = alt.selection_point(name="cell", fields=["true", "predicted"])
    scale = alt.Scale(
        domain=[0, alt.ExprRef("most")], range=["#d55e0010", charts.QUADRATIC], clamp=True
    )
    right = "datum.kind == 'right'"
    squares = base.mark_rect(cornerRadius=3, cursor="pointer").encode(
        color=alt.condition(
            f"{right} && datum.images > 0",
            alt.value(charts.OTHER),
            alt.Color("images:Q", scale=scale, legend=None),
        ),
        opacity=alt.condition(cell, alt.value(1), alt.value(0.35)),
    )
    numbers = (
        base.transform_filter("datum.images > 0")
        .mark_text(fontSize=11, fontWeight=600)
        .encode(
            text="images:Q",
            color=alt.condition(
                f"{right} || datum.images > most / 2", alt.value("#ffffff"), alt.value("#b04a00")
            ),
        )
    )
    return charts.over(squares.add_params(cell), numbers, numbers=("most",))
