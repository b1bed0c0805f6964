"""The chart of a sweep: lines by formula, points as measured, the present choice marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from attnlib.complexity.cost import Over
from attnlib.dashboard.cost import charts

TITLES: dict[Over, str] = {
    "image": "image height (pixels)",
    "patch": "patch size (pixels)",
    "batch": "batch B (images)",
    "dimension": "dimension D",
}
COLOURS = (charts.OTHER, charts.LINEAR, charts.QUADRATIC, charts.FOURTH)
SECONDS = (
    "datum.value < 1e-3 ? format(datum.value * 1e6, '~g') + ' µs' : "
    "datum.value < 1 ? format(datum.value * 1e3, '~g') + ' ms' : format(datum.value, '~g') + ' s'"
)


def draw(
    rows: list[dict[str, Any]],
    dots: list[dict[str, Any]],
    names: list[str],
    here: int,
    over: Over,
    shown: str,
) -> None:
    """Both axes are logarithmic.

    Args:
        rows: points of the lines, with ``x``, ``y`` and ``line``.
        dots: measured points, with ``x`` and ``y``.
        names: the lines in the order of their colours.
        here: where the present choice stands.
        shown: ``"Operations"``, ``"Memory"`` or ``"Time"``.
    """
    unit = {"Operations": "MACs", "Memory": "bytes", "Time": "seconds"}[shown]
    names = [*names, "measured"] if dots else names
    colour = {
        "field": "line",
        "type": "nominal",
        "scale": {"domain": names, "range": [*COLOURS[: len(names) - bool(dots)],
                                             *(["#e69f00"] if dots else [])]},
        "legend": {"orient": "top", "title": None, "labelLimit": 320,
                   "symbolType": "stroke", "symbolStrokeWidth": 3},
    }  # fmt: skip
    x = {
        "field": "x",
        "type": "quantitative",
        "scale": {"type": "log", "base": 2, "nice": False, "padding": 12},
        "title": TITLES[over],
        "axis": {"values": sorted({row["x"] for row in rows}), "labelOverlap": "greedy",
                 "format": "d", "grid": False},
    }  # fmt: skip
    y = {
        "field": "y",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 8},
        "title": unit,
        "axis": {
            "values": decades([row["y"] for row in [*rows, *dots]]),
            **({"labelExpr": SECONDS} if shown == "Time" else {"format": ".1~s"}),
        },
    }
    tip = [{"field": "line"}, {"field": "x", "title": TITLES[over]},
           {"field": "y", "title": unit, "format": ".4~s"}]  # fmt: skip
    layers: list[dict[str, Any]] = [
        {
            "data": {"values": [{"x": here, "label": "this choice"}]},
            "mark": {"type": "rule", "strokeDash": [5, 4], "color": charts.MUTED},
            "encoding": {"x": x},
        },
        {
            "data": {"values": [{"x": here, "label": "this choice"}]},
            "mark": {"type": "text", "align": "left", "dx": 5, "y": 10, "color": charts.MUTED},
            "encoding": {"x": x, "text": {"field": "label"}},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "line", "strokeWidth": 2.5},
            "encoding": {"x": x, "y": y, "color": colour, "strokeDash": {
                "field": "line", "type": "nominal", "legend": None,
                "scale": {"domain": names, "range": [[1, 0], [7, 3], [2, 3], [8, 3, 2, 3], [1, 0]]},
            }},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "size": 30},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tip},
        },
        {
            "data": {"values": [row for row in rows if row["x"] == here]},
            "mark": {"type": "point", "size": 150, "strokeWidth": 2},
            "encoding": {"x": x, "y": y, "color": colour, "tooltip": tip},
        },
    ]  # fmt: skip
    if dots:
        layers.append(
            {
                "data": {"values": [{**dot, "line": "measured"} for dot in dots]},
                "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 110,
                         "stroke": charts.MUTED, "strokeWidth": 1, "opacity": 1},
                "encoding": {"x": x, "y": y, "color": colour, "tooltip": tip},
            }
        )  # fmt: skip
    st.vega_lite_chart(
        spec={"layer": layers},
        width=760,
        height=380,
        alt=f"{shown} over {TITLES[over]}, both axes logarithmic",
    )


def decades(values: Sequence[float]) -> list[float]:
    """Powers of ten from just below the smallest to just above the largest."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(low, high + 1)]
