"""Charts as plain Vega-Lite specifications: a dictionary costs a tenth of building a chart."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray


def layers(values: NDArray[np.float32], title: str, domain: tuple[float, float]) -> None:
    """One number per layer and head ``(L, H)``: a dot per head, a line through their means."""
    rows = [
        {"layer": layer, "head": head, title: float(values[layer, head])}
        for layer in range(values.shape[0])
        for head in range(values.shape[1])
    ]
    y = {"field": title, "type": "quantitative", "scale": {"domain": list(domain)}}
    x = {"field": "layer", "type": "ordinal", "axis": {"labelAngle": 0}}
    st.vega_lite_chart(
        spec={
            "data": {"values": rows},
            "encoding": {"x": x},
            "layer": [
                {
                    "mark": {"type": "point", "filled": True, "opacity": 0.65, "size": 40},
                    "encoding": {
                        "y": y,
                        "tooltip": [{"field": name} for name in ("layer", "head", title)],
                    },
                },
                {
                    "mark": {"type": "line", "strokeWidth": 2},
                    "encoding": {"y": {**y, "aggregate": "mean", "title": title}},
                },
            ],
        },
        height=190,
        width=430,
        alt=f"{title} of every head, by layer",
    )
