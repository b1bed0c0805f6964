"""The patches that are chosen on the opened image: by clicks, a brush, from a map, at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.dashboard.parts.cells import Cell

Region = NDArray[np.bool_]

KEY = "change_region"
CORNER = "change_corner"


def random_regions(grid: tuple[int, ...], count: int, sets: int) -> Sequence[Region]:
    """``sets`` regions ``(rows, cols)`` of ``count`` patches each, the same at every call."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(sets):
        one = np.zeros(int(np.prod(grid)), dtype=bool)
        one[rng.permutation(one.size)[:count]] = True
        found.append(one.reshape(grid))
    return found


def top(values: NDArray[np.floating], count: int) -> Region:
    """``(rows, cols)``: the patches with the largest values, the first of equal ones."""
    found = np.zeros(values.size, dtype=bool)
    found[np.argsort(-values.ravel(), kind="stable")[:count]] = True
    return found.reshape(values.shape)


def take(region: Region) -> None:
    """Have this region from the next run on."""
    st.session_state[KEY] = tuple(int(place) for place in np.flatnonzero(region))
    st.session_state.pop(CORNER, None)


def pick(region: Region, rectangle: bool, cell: Cell) -> None:
    """A click on a patch: it changes sides, or is a corner."""
    corner: Cell | None = st.session_state.get(CORNER)
    changed = region.copy()
    if rectangle and corner is not None:
        rows, cols = (slice(*_span(*ends)) for ends in zip(corner, cell, strict=True))
        changed[rows, cols] = True
        take(changed)
        return
    changed[cell] = rectangle or not region[cell]
    take(changed)
    if rectangle:
        st.session_state[CORNER] = cell


def paint(region: Region, cells: Sequence[Cell]) -> None:
    """A stroke of the brush: its patches join; where all are chosen already, they go."""
    rows, cols = zip(*cells, strict=True)
    changed = region.copy()
    changed[rows, cols] = not region[rows, cols].all()
    take(changed)


def _span(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other) + 1
