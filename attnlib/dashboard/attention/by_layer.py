"""What the query does in each layer, in numbers: where it peaks, and how evenly it looks."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.capture.record import row_entropy
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.look import Array, Look

Rows = list[dict[str, object]]


def show(look: Look, maps: list[Array]) -> None:
    """A table with one row per layer.

    Args:
        maps: of the chosen head (or heads fused), one per layer, ``(rows, cols)``.
    """
    st.markdown(f"**Peak and entropy in each layer**, {look.head_name}")
    listed = rows(maps)
    st.dataframe(
        listed,
        hide_index=True,
        width=560,
        height=35 * (min(len(listed), 12) + 1) + 2,
        alt="Peak and entropy by layer",
    )
    st.caption(
        f"Peak: the patch that the {look.query_name} looks at most, counted from (0, 0) at the top "
        "left. × uniform: 1 is an equal share for every patch. Nats: the entropy with the natural "
        f"logarithm, at most ln {maps[0].size} = {np.log(maps[0].size):.3f}; ÷ that it is 1."
    )
    downloads.table(listed, "peak-by-layer")


def rows(maps: list[Array]) -> Rows:
    """One row per layer, for the screen and the file."""
    listed: Rows = []
    for layer, values in enumerate(maps):
        row, col = np.unravel_index(int(values.argmax()), values.shape)
        entropy = float(row_entropy(values.reshape(1, -1))[0])
        listed.append(
            {
                "layer": layer,
                "peak (row, col)": f"({row}, {col})",
                "× uniform": round(float(values[row, col]) * values.size, 4),
                "entropy (nats)": round(entropy * float(np.log(values.size)), 4),
                "entropy ÷ log N": round(entropy, 4),
            }
        )
    return listed
