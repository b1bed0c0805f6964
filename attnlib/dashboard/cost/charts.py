"""Charts that several parts share: bars with their numbers, and the colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

LINEAR, QUADRATIC, OTHER, FOURTH = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
# Grey that can be read on white and on the dark background.
MUTED = "#7a8794"
WIDTH = 430


def bars(
    rows: Sequence[dict[str, Any]],
    *,
    colours: dict[str, str],
    alt: str,
    order: Sequence[str] | None = None,
    width: int = WIDTH,
) -> None:
    """Horizontal bars, the number written at each.

    Args:
        rows: with ``part``, ``value``, ``shown`` (the number in words) and ``kind``.
        colours: kind -> colour; with more than one kind there is a legend.
        order: parts from top to bottom; None is by value.
    """
    most = max([1e-12, *(row["value"] for row in rows)])
    y = {
        "field": "part",
        "type": "nominal",
        "title": None,
        "sort": list(order) if order else "-x",
        "axis": {"labelLimit": 150, "ticks": False, "domain": False},
    }
    x = {
        "field": "value",
        "type": "quantitative",
        "axis": None,
        # Room for the number behind the longest bar.
        "scale": {"domain": [0, 1.45 * most]},
    }
    several = len({row["kind"] for row in rows}) > 1
    spec = {
        "data": {"values": list(rows)},
        "encoding": {
            "y": y,
            "x": x,
            "tooltip": [{"field": "part"}, {"field": "shown", "title": "value"}],
        },
        "layer": [
            {
                "mark": {"type": "bar", "cornerRadiusEnd": 3, "height": {"band": 0.72}},
                "encoding": {
                    "color": {
                        "field": "kind",
                        "type": "nominal",
                        "scale": {"domain": list(colours), "range": list(colours.values())},
                        "legend": {"orient": "bottom", "title": None, "columns": 2}
                        if several
                        else None,
                    }
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 5, "color": MUTED, "fontSize": 12},
                "encoding": {"text": {"field": "shown"}},
            },
        ],
    }
    st.vega_lite_chart(
        spec=spec, width=width, height=26 * len(rows) + (62 if several else 22), alt=alt
    )
