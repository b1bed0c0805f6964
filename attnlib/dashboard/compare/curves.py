"""Charts of deletion and insertion, with the random baseline in each of them."""

from __future__ import annotations

from typing import Any

from attnlib.dashboard.compare.settings import COMPARED
from attnlib.methods import METHODS

Spec = dict[str, Any]
Rows = list[dict[str, object]]
GREY = "#8a97a5"
# All of them, so that a method keeps its colour where another has no map. The colours are the
# theme's: Okabe and Ito's, lighter on dark.
TITLES = [METHODS[name].title for name in COMPARED if name != "random"]
COLOUR: Spec = {
    "field": "method",
    "type": "nominal",
    "scale": {"domain": TITLES},
    "legend": None,
}

# Class-specific methods are dashed: seven colours are too many for the eye alone.
DASHES: Spec = {
    "domain": TITLES,
    "range": [[5, 3] if METHODS[name].class_specific else [1, 0] for name in COMPARED[:-1]],
}


def lines(rows: Rows, band: Rows, x: str, shown: list[str]) -> Spec:
    """Probability by the share of patches: a line for each method, random orders as a band.

    Args:
        rows: ``method``, ``x`` and ``probability``.
        band: ``x``, ``low``, ``mean``, ``high`` of single random orders.
        shown: methods in the legend; a click there singles one out.
    """
    share = {"field": x, "type": "quantitative", "axis": {"format": "%"}, "title": x}
    unit = {"domain": [0, 1]}
    legend = {
        "orient": "bottom",
        "columns": 2,
        "title": None,
        "values": shown,
        "labelLimit": 240,
        "symbolType": "stroke",
        "symbolSize": 200,
        "symbolStrokeWidth": 3,
    }
    return {
        "params": [
            {
                "name": "one",
                "select": {"type": "point", "fields": ["method"]},
                "bind": "legend",
                "views": ["methods"],
            }
        ],
        "layer": [
            {
                "data": {"values": band},
                "mark": {"type": "area", "color": GREY, "opacity": 0.28},
                "encoding": {
                    "x": share,
                    "y": {"field": "low", "type": "quantitative", "scale": unit},
                    "y2": {"field": "high"},
                },
            },
            {
                "data": {"values": band},
                "mark": {"type": "line", "color": GREY, "strokeDash": [5, 4], "strokeWidth": 2},
                "encoding": {
                    "x": share,
                    "y": {"field": "mean", "type": "quantitative", "scale": unit},
                },
            },
            {
                "name": "methods",
                "data": {"values": rows},
                "mark": {"type": "line", "strokeWidth": 2.2, "point": {"size": 22}},
                "encoding": {
                    "x": share,
                    "y": {
                        "field": "probability",
                        "type": "quantitative",
                        "scale": unit,
                        "title": "probability of the class",
                    },
                    "color": {**COLOUR, "legend": legend},
                    "strokeDash": {**COLOUR, "scale": DASHES, "legend": legend},
                    "opacity": {"condition": {"param": "one", "value": 1}, "value": 0.12},
                    "tooltip": [
                        {"field": "method"},
                        {"field": x, "format": ".1%"},
                        {"field": "probability", "format": ".3f"},
                    ],
                },
            },
        ],
    }


def areas(rows: Rows, title: str, low: float, mean: float, high: float) -> Spec:
    """One dot per method for its area, on the band of single random orders.

    Args:
        rows: ``method`` and ``auc``.
        title: of the horizontal axis.
        low, mean, high: of the areas of random orders.
    """
    x = {"field": "auc", "type": "quantitative", "title": title, "scale": {"domain": [0, 1]}}
    x["axis"] = {"tickCount": 5}
    edges = {"data": {"values": [{"low": low, "mean": mean, "high": high}]}}
    return {
        "layer": [
            {
                **edges,
                "mark": {"type": "rect", "color": GREY, "opacity": 0.28},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative", "title": title},
                    "x2": {"field": "high"},
                },
            },
            {
                **edges,
                "mark": {"type": "rule", "color": GREY, "strokeDash": [5, 4], "strokeWidth": 2},
                "encoding": {"x": {"field": "mean", "type": "quantitative"}},
            },
            {
                "data": {"values": rows},
                "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
                "encoding": {
                    "x": x,
                    "y": _names(rows),
                    "color": COLOUR,
                    "tooltip": [{"field": "method"}, {"field": "auc", "format": ".3f"}],
                },
            },
        ]
    }


def means(
    rows: Rows,
    title: str,
    domain: tuple[float, float],
    random: tuple[float, float | None, float | None],
) -> Spec:
    """Means over images with their intervals, one line per method, beside random orders.

    Args:
        rows: ``method``, ``mean``, ``low``, ``high``.
        domain: of the horizontal axis, shared by charts that are compared.
        random: mean of random orders and the ends of its interval.
    """
    scale = {"domain": list(domain), "nice": True, "zero": False}
    x = {"type": "quantitative", "title": title, "scale": scale}
    mean, low, high = random
    return {
        "data": {"values": rows},
        "layer": [
            {
                "data": {"values": [{"low": low, "high": high}]},
                "mark": {"type": "rect", "color": GREY, "opacity": 0.28},
                "encoding": {
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "rule", "color": GREY, "strokeDash": [5, 4], "strokeWidth": 2},
                "encoding": {"x": {"datum": mean}},
            },
            {
                "transform": [{"filter": "isValid(datum.low)"}],
                "mark": {"type": "rule", "strokeWidth": 2.5},
                "encoding": {
                    "x": {**x, "field": "low"},
                    "x2": {"field": "high"},
                    "y": _names(rows),
                    "color": COLOUR,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {
                    "x": {**x, "field": "mean"},
                    "y": _names(rows),
                    "color": COLOUR,
                    "tooltip": [
                        {"field": "method"},
                        *({"field": n, "format": ".3f"} for n in ("mean", "low", "high")),
                    ],
                },
            },
        ],
    }


def _names(rows: Rows) -> Spec:
    return {
        "field": "method",
        "type": "nominal",
        "sort": [row["method"] for row in rows],
        "title": None,
        "axis": {"labelLimit": 180},
    }
