"""Buttons that hand out what is on screen: numbers as CSV, pictures as PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib import audit
from attnlib.dashboard.parts.pictures import encoded

Rows = Sequence[dict[str, object]]


def stem_of(name: str) -> str:
    """A file's name without folder and ending."""
    return name.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def table(rows: Rows | Callable[[], Rows], name: str, label: str = "Data (CSV)") -> None:
    """The numbers behind a chart, one row for each mark; a function is asked only on click."""
    st.download_button(
        label,
        lambda: audit.to_csv(list(rows() if callable(rows) else rows)),
        f"{name}.csv",
        "text/csv",
        key=f"csv_{name}",
        type="tertiary",
        icon=":material/table:",
        on_click="ignore",
        help="The numbers shown here as comma-separated values.",
    )


def matrix(
    values: NDArray[np.floating], rows: Sequence[str], cols: Sequence[str], name: str
) -> None:
    """A matrix with names along both sides."""

    def listed() -> Rows:
        return [
            {"": row, **{col: float(value) for col, value in zip(cols, line, strict=True)}}
            for row, line in zip(rows, values, strict=True)
        ]

    table(listed, name)


def layers(values: NDArray[np.floating], name: str) -> None:
    """One number per layer and head ``(L, H)``, as ``charts.layers`` draws them."""
    rows, cols = values.shape
    titles = [f"layer {i}" for i in range(rows)], [f"head {i}" for i in range(cols)]
    matrix(values, *titles, name)


def picture(make: Callable[[], Image.Image], name: str, label: str = "Picture (PNG)") -> None:
    """A picture, drawn when it is asked for."""
    st.download_button(
        label,
        lambda: encoded(make()),
        f"{name}.png",
        "image/png",
        key=f"png_{name}",
        type="tertiary",
        icon=":material/image:",
        on_click="ignore",
        help="This picture without loss.",
    )
