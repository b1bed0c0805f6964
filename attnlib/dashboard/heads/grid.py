"""One number for each layer and head as a picture with rows of layers and columns of heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from attnlib.dashboard.heads.names import Head, every
from attnlib.dashboard.parts import cells, downloads
from attnlib.dashboard.parts.style import legend_bar
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

SIGNED = "purple-green"  # blue and red stand for classes elsewhere


def show(
    values: NDArray[np.floating],
    scale: Scale,
    *,
    key: str,
    title: str = "",
    width: int = 360,
    colormap: str | None = None,
    marks: Sequence[Head] = (),
    selected: Sequence[Head] = (),
    on_pick: Callable[[Head], None] | None = None,
    cell_names: Sequence[str] | None = None,
    unit: str = "",
    note: str = "",
) -> None:
    """The picture of ``values`` ``(L, H)`` with its title, its scale and its downloads.

    Args:
        width: on screen, of the picture at most.
        marks: heads with a dot.
        note: one line under the title.
    """
    layers, heads = values.shape
    across, down = _cell(layers, heads, width)
    picture = draw(values, scale, colormap, marks, (across, down))
    with st.container(width=across * heads + 40, gap="xsmall"):
        if title:
            st.markdown(f"**{title}**")
        if note:
            st.caption(note)
        cells.cells(
            picture,
            (layers, heads),
            key=key,
            alt=f"{title or scale.label}: rows are layers, columns are heads",
            width=across * heads + 34,
            selected=selected,
            on_pick=on_pick,
            values=values,
            unit=unit,
            cell_names=cell_names or every(layers, heads),
            left=[f"L{layer}" for layer in range(layers)],
            top=[f"H{head}" for head in range(heads)] if across >= 24 else None,
        )
        legend_bar(scale, colormap=colormap, width=min(220, across * heads + 34))
        with st.container(horizontal=True, gap="small"):
            downloads.matrix(
                values,
                [f"L{layer}" for layer in range(layers)],
                [f"H{head}" for head in range(heads)],
                key,
            )
            downloads.picture(lambda: picture, key)


def draw(
    values: NDArray[np.floating],
    scale: Scale,
    colormap: str | None,
    marks: Sequence[Head],
    cell: tuple[int, int],
) -> Image.Image:
    """Cells of twice their size on screen, so that dots on them are round and sharp."""
    wide, high = 2 * cell[0], 2 * cell[1]
    rows, cols = values.shape
    picture = heat_image(values, scale, colormap, (wide * cols, high * rows)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    radius = max(3, min(wide, high) // 6)
    for row, col in marks:
        x, y = col * wide + wide // 2, row * high + high // 2
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill="white", outline="black", width=max(2, radius // 3))
    return picture


def _cell(layers: int, heads: int, width: int) -> tuple[int, int]:
    """Pixels of a cell on screen: flat, to save height, but high enough for a layer's label."""
    across = max(14, min(64, width // heads))
    return across, max(19, min(36, across, 560 // layers))
