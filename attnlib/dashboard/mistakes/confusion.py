"""Charts as plain Vega-Lite specifications: a dictionary costs a tenth of building a chart."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import predictions as audit
from attnlib.dashboard.state.workspace import Workspace

MAX_CLASSES = 24
CELL = 30  # pixels


def show(space: Workspace) -> tuple[int, int] | None:
    """The confusion matrix; returns the (true, predicted) cell that was clicked, if any."""
    matrix = audit.confusion(space.predictions, len(space.vit.class_names))
    shown = audit.confused_classes(matrix, MAX_CLASSES)
    if not shown:
        return None
    present = int((matrix.sum(0) + matrix.sum(1) > 0).sum())
    names = [f"{space.class_name(i)}" for i in shown]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for name, i in zip(names, shown, strict=True)]
    event: Any = st.vega_lite_chart(
        spec=_confusion_spec(matrix[np.ix_(shown, shown)], names),
        width=160 + CELL * len(shown),
        height=120 + CELL * len(shown),
        key=f"confusion_{len(shown)}",
        on_select="rerun",
        selection_mode="cell",
        alt="Confusion matrix: rows are true classes, columns predicted ones",
    )
    if present > len(shown):
        st.caption(f"The {len(shown)} classes with the most errors, of {present} present.")
    picked = (event or {}).get("selection", {}).get("cell") or []
    if not picked:
        return None
    by_name = dict(zip(names, shown, strict=True))
    true, predicted = by_name.get(picked[0].get("true")), by_name.get(picked[0].get("predicted"))
    return None if true is None or predicted is None else (true, predicted)


def _confusion_spec(matrix: NDArray[np.int64], names: list[str]) -> dict[str, Any]:
    rows = [
        {
            "true": true,
            "predicted": predicted,
            "images": int(matrix[i, j]),
            "kind": "right" if i == j else "wrong",
        }
        for i, true in enumerate(names)
        for j, predicted in enumerate(names)
    ]
    most = max(1, int((matrix - np.diag(matrix.diagonal())).max()))
    axis = {"labelLimit": 110, "ticks": False, "domain": False, "labelPadding": 6}
    axis["labelOverlap"] = False
    x = {"field": "predicted", "type": "nominal", "sort": names, "title": "predicted"}
    y = {"field": "true", "type": "nominal", "sort": names, "title": "true"}
    return {
        "data": {"values": rows},
        "params": [
            {
                "name": "cell",
                "select": {"type": "point", "fields": ["true", "predicted"]},
                "views": ["cells"],
            }
        ],
        "encoding": {
            "x": {**x, "axis": {**axis, "labelAngle": -50}},
            "y": {**y, "axis": axis},
            "tooltip": [{"field": name} for name in ("true", "predicted", "images")],
        },
        "layer": [
            {
                "name": "cells",
                "mark": {"type": "rect", "cornerRadius": 3, "cursor": "pointer"},
                "encoding": {
                    "color": {
                        "condition": {
                            "test": "datum.kind == 'right' && datum.images > 0",
                            "value": "#009e73",
                        },
                        "field": "images",
                        "type": "quantitative",
                        "scale": {
                            "domain": [0, most],
                            "range": ["#d55e0010", "#d55e00"],
                            "clamp": True,
                        },
                        "legend": None,
                    },
                    "opacity": {
                        "condition": {"param": "cell", "value": 1},
                        "value": 0.35,
                    },
                },
            },
            {
                "transform": [{"filter": "datum.images > 0"}],
                "mark": {"type": "text", "fontSize": 11, "fontWeight": 600},
                "encoding": {
                    "text": {"field": "images", "type": "quantitative"},
                    "color": {
                        "condition": {
                            "test": f"datum.kind == 'right' || datum.images > {most / 2}",
                            "value": "#ffffff",
                        },
                        "value": "#b04a00",
                    },
                },
            },
        ],
    }
