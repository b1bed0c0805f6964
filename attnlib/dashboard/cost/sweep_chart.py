"""The chart of a sweep: lines by formula, points as measured, the present choice marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from attnlib.complexity.cost import Over
from attnlib.dashboard.parts import charts

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
    charts.draw(
        _lines,
        rows,
        words=f"{shown} over {TITLES[over]}, both axes logarithmic",
        width=760,
        height=380,
        more={
            "here": [{"x": here, "label": "this choice"}],
            "present": [row for row in rows if row["x"] == here],
            "dots": [{**dot, "line": "measured"} for dot in dots],
        },
        names=(*names, "measured") if dots else tuple(names),
        measured=bool(dots),
        places=tuple(sorted({row["x"] for row in rows})),
        decades=tuple(decades([row["y"] for row in [*rows, *dots]])),
        title=TITLES[over],
        unit=unit,
    )


def _lines(
    names: tuple[str, ...],
    measured: bool,
    places: tuple[float, ...],
    decades: tuple[float, ...],
    title: str,
    unit: str,
) -> alt.LayerChart:
    colours = [*COLOURS[: len(names) - measured], *([charts.MEASURED] if measured else [])]
    legend = alt.Legend(
        orient="top", title=None, labelLimit=320, symbolType="stroke", symbolStrokeWidth=3
    )
    colour = charts.colour("line", dict(zip(names, colours, strict=True)), legend)
    x = alt.X(
        "x:Q",
        title=title,
        scale=alt.Scale(type="log", base=2, nice=False, padding=12),
        axis=alt.Axis(values=list(places), labelOverlap="greedy", format="d", grid=False),
    )
    form: dict[str, Any] = {"labelExpr": SECONDS} if unit == "seconds" else {"format": ".1~s"}
    y = alt.Y(
        "y:Q",
        title=unit,
        scale=alt.Scale(type="log", nice=False, padding=8),
        axis=alt.Axis(values=list(decades), **form),
    )
    tip = [
        *charts.tips("line"),
        alt.Tooltip("x:Q", title=title),
        alt.Tooltip("y:Q", title=unit, format=".4~s"),
    ]
    dashes = alt.StrokeDash(
        "line:N",
        legend=None,
        scale=alt.Scale(domain=list(names), range=[[1, 0], [7, 3], [2, 3], [8, 3, 2, 3], [1, 0]]),
    )
    here = charts.rows("here").encode(x)
    points = {"x": x, "y": y, "color": colour, "tooltip": tip}
    parts = [
        charts.rule(here),
        here.mark_text(align="left", dx=5, y=10, color=charts.MUTED).encode(text="label:N"),
        charts.rows().mark_line(strokeWidth=2.5).encode(x, y, colour, dashes),
        charts.rows().mark_point(filled=True, size=30).encode(**points),
        charts.rows("present").mark_point(size=150, strokeWidth=2).encode(**points),
    ]
    if measured:
        diamonds = charts.rows("dots").mark_point(
            shape="diamond", filled=True, size=110, stroke=charts.MUTED, strokeWidth=1, opacity=1
        )
        parts.append(diamonds.encode(**points))
    return charts.over(*parts)


def decades(values: Sequence[float]) -> list[float]:
    """Powers of ten from just below the smallest to just above the largest."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(low, high + 1)]
