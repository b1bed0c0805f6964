"""A picture made of cells that can be pointed at: patches, small maps, pairs of heads."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.pictures.overlay import data_uri, png_bytes

Cell = tuple[int, int]

_HTML = """
<div class="cells">
  <div class="top"></div>
  <div class="left"></div>
  <canvas tabindex="0" role="img"></canvas>
  <div class="tip" aria-hidden="true">&nbsp;</div>
  <button class="reset" type="button" title="Show the whole picture again">reset zoom</button>
</div>
"""

_CSS = """
.cells {
  display: grid; grid-template-columns: auto 1fr; grid-template-rows: auto 1fr auto;
  color: var(--st-text-color); font-family: var(--st-font); font-size: .75rem;
}
canvas { grid-column: 2; grid-row: 2; width: 100%; border-radius: 4px; touch-action: none; }
canvas:focus-visible { outline: 2px solid var(--st-primary-color); }
.top { grid-column: 2; grid-row: 1; opacity: .75; }
.top span { flex: 1 1 0; min-width: 0; text-align: center; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.top.upright span { writing-mode: sideways-lr; overflow: visible; text-align: start;
  align-self: end; max-height: 7em; padding-bottom: .2rem; }
.left { grid-column: 1; grid-row: 2; flex-direction: column; padding-right: .35rem;
  opacity: .75; }
.left span { flex: 1 1 0; min-height: 0; display: flex; align-items: center;
  justify-content: flex-end; line-height: 1; }
.tip { grid-column: 2; grid-row: 3; min-height: 1.4em; opacity: 0; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis; font-variant-numeric: tabular-nums;
  pointer-events: none; }
.reset { grid-column: 2; grid-row: 3; justify-self: end; border: 0; background: none;
  color: var(--st-link-color); font: inherit; cursor: pointer; padding: 0; }
"""

_COMPONENT = st.components.v2.component(
    "attnlib_cells", html=_HTML, css=_CSS, js=Path(__file__).with_name("cells.js").read_text()
)

# Beyond this the numbers of a matrix are not worth their megabytes; its colours still show.
_MAX_VALUES = 600 * 600


def cells(
    picture: Image.Image,
    shape: tuple[int, int],
    *,
    key: str,
    alt: str,
    width: int,
    selected: Sequence[Cell] = (),
    on_pick: Callable[[Cell], None] | None = None,
    on_paint: Callable[[list[Cell]], None] | None = None,
    values: NDArray[np.floating] | None = None,
    unit: str = "",
    row_names: Sequence[str] | None = None,
    col_names: Sequence[str] | None = None,
    cell_names: Sequence[str] | None = None,
    left: Sequence[str] | None = None,
    top: Sequence[str] | None = None,
    lines: tuple[Sequence[int], Sequence[int]] = ((), ()),
    zoom: bool = False,
    smooth: bool = False,
    aspect: float | None = None,
    covers: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Show a picture of ``shape`` (rows, cols) cells of equal size.

    Args:
        width: largest width on screen in pixels; narrower where there is no room.
        selected: cells with a frame.
        on_pick: called with the cell that was clicked, before the page runs again.
        on_paint: called with the cells that were passed over with the button down; a click is a
            stroke of one.
        values: ``(rows, cols)``, read out under the pointer with ``unit``.
        row_names, col_names: what to call rows and columns there; ``cell_names`` (row by row)
            says it for each cell instead.
        left, top: labels along the sides.
        lines: numbers of the rows and columns before which a line is drawn.
        zoom: whether the wheel zooms and dragging moves.
        smooth: whether an enlarged picture is blended; false shows its pixels.
        aspect: width over height on screen; None keeps the picture's.
        covers: how far the cells reach, in shares of the picture's height and width; see
            `attnlib.capture.tokens.TokenLayout.covers`. Beyond them there is nothing to point at.
    """
    rows, cols = shape
    numbers = ""
    if values is not None and values.size <= _MAX_VALUES:
        numbers = base64.b64encode(np.ascontiguousarray(values, np.float32).tobytes()).decode()

    def picked() -> None:
        cell = _known(st.session_state[key].cell, shape)
        if on_pick is not None and cell is not None:
            on_pick(cell)

    def painted() -> None:
        found = st.session_state[key].stroke
        stroke = [_known(cell, shape) for cell in found] if isinstance(found, list) else []
        inside = [cell for cell in stroke if cell is not None]
        if on_paint is not None and inside:
            on_paint(inside)

    _COMPONENT(
        key=key,
        data={
            "image": data_uri(png_bytes(picture), "image/png"),
            "aspect": aspect or picture.width / picture.height,
            "rows": rows,
            "cols": cols,
            "covers": list(covers),
            "alt": alt,
            "width": width,
            "selected": [list(cell) for cell in selected],
            "clickable": on_pick is not None,
            "brush": on_paint is not None,
            "values": numbers,
            "unit": unit,
            "row_names": None if row_names is None else list(row_names),
            "col_names": None if col_names is None else list(col_names),
            "cell_names": None if cell_names is None else list(cell_names),
            "left": None if left is None else list(left),
            "top": None if top is None else list(top),
            "row_lines": list(lines[0]),
            "col_lines": list(lines[1]),
            "zoom": zoom,
            "smooth": smooth,
        },
        on_cell_change=picked,
        on_stroke_change=painted,
    )


def _known(given: object, shape: tuple[int, int]) -> Cell | None:
    """A cell as a browser sent it, checked like any other input; None where it is none."""
    if not isinstance(given, dict):
        return None
    row, col = given.get("row"), given.get("col")
    if not isinstance(row, int) or not isinstance(col, int):
        return None
    return (row, col) if 0 <= row < shape[0] and 0 <= col < shape[1] else None
