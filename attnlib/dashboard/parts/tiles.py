"""Several maps of one image side by side, as one picture that can be clicked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from attnlib.capture.record import row_entropy
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.cells import Cell, cells
from attnlib.dashboard.parts.look import Array, Look
from attnlib.dashboard.parts.style import legend_bar
from attnlib.pictures.sheet import sheet

WIDTH = 1000  # pixels on screen at most


TILE = 200


def tiles(
    look: Look,
    maps: Array,
    what: str,
    *,
    key: str,
    on_pick: Callable[[int], None],
    hint: str,
) -> None:
    """Maps ``(n, rows, cols)`` over the image, side by side, as one picture that can be clicked.

    Args:
        what: what each map belongs to, "head" or "layer"; they are counted from 0.
    """
    scale = look.scale(maps)
    across = min(len(maps), 6)
    down = -(-len(maps) // across)
    page = sheet([look.draw(one, scale, 2 * TILE) for one in maps], across)
    names = [f"{what} {i}: entropy {e:.2f}, peak {p:.1f} × uniform" for i, e, p in entropies(maps)]
    names += [""] * (across * down - len(names))
    starts = [i * across for i in range(down)]

    def picked(cell: Cell) -> None:
        index = cell[0] * across + cell[1]
        if index < len(maps):
            on_pick(index)

    cells(
        page,
        (down, across),
        key=key,
        alt=f"One map for each {what}",
        width=min(WIDTH, across * TILE),
        on_pick=picked,
        cell_names=names,
        top=[f"{what} {i}" for i in range(across)] if down == 1 else None,
        left=None if down == 1 else [f"{i} to {min(len(maps), i + across) - 1}" for i in starts],
        smooth=True,
    )
    legend_bar(scale, hint, style=look.style)
    with st.container(horizontal=True):
        downloads.picture(lambda: page, key)
        downloads.table(lambda: listed(maps, what), key)


def listed(maps: Array, what: str) -> list[dict[str, object]]:
    """A row for each patch of maps ``(n, rows, cols)``; they are counted in a column ``what``."""
    return [
        {what: i, "row": row, "col": col, "share": float(share)}
        for (i, row, col), share in np.ndenumerate(maps)
    ]


def entropies(maps: Array) -> list[tuple[int, float, float]]:
    """Head, entropy in units of log N, largest multiple of uniform."""
    flat = maps.reshape(len(maps), -1)
    entropy = row_entropy(flat)
    return [(i, float(entropy[i]), float(flat[i].max() * flat.shape[1])) for i in range(len(maps))]
