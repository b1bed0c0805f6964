"""Dots in the plane that can be pointed at, encircled and opened: one for each image of a set."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.pictures.overlay import data_uri, jpeg_bytes

# Of a line drawn by hand a browser sends no more corners than this.
MOST_CORNERS = 4000
# How far beside the dots a line may run, in units of their longer side.
MARGIN = 0.5

_HTML = """
<div class="scatter">
  <div class="tools">
    <span class="modes" role="group" aria-label="What dragging does">
      <button type="button" class="draw" title="Dragging draws a line around images">Lasso</button>
      <button type="button" class="move" title="Dragging moves the map">Move</button>
    </span>
    <button type="button" class="reset" title="Show the whole map again">Reset view</button>
    <button type="button" class="clear" title="Forget the line">Clear lasso</button>
    <span class="count"></span>
  </div>
  <div class="plane">
    <canvas class="dots" aria-hidden="true"></canvas>
    <canvas class="hand" tabindex="0" role="application"></canvas>
    <div class="tip" aria-hidden="true">
      <canvas class="thumb"></canvas><div class="words"></div>
    </div>
  </div>
  <div class="legend"></div>
  <div class="spoken" aria-live="polite"></div>
</div>
"""
_HERE = Path(__file__)
_COMPONENT = st.components.v2.component(
    "attnlib_scatter",
    html=_HTML,
    css=_HERE.with_name("scatter.css").read_text(),
    js="".join(
        _HERE.with_name(f"scatter{part}.js").read_text() for part in ("_marks", "_near", "")
    ),
)
# Apart from the dots, which are many and stay, so that a thumbnail does not send them again.
_SHEETS = st.components.v2.component(
    "attnlib_sheets",
    html="<span hidden></span>",
    js="""
export default function ({ data }) {
  const sheets = (window.attnlibSheets ??= new Map())
  const name = `${data.of}/${data.number}`
  if (!data.image || sheets.has(name)) return
  const picture = new Image()
  picture.onload = () => {
    sheets.set(name, picture)
    window.dispatchEvent(new Event("attnlib-sheets"))
  }
  picture.src = data.image
}
""",
)


@dataclass(frozen=True)
class Entry:
    """One entry of the legend: a colour and what it stands for.

    Attributes:
        colour: the place in the theme's colours for categories, or ``"#rrggbb"``.
        shape: of its mark in the legend, as `Dots.shapes`.
    """

    name: str
    colour: int | str
    shape: int = 0


@dataclass(frozen=True)
class Colouring:
    """A colour for each dot.

    Attributes:
        codes: ``(n,)`` uint8, places in ``palette``.
        palette: at most 256 entries.
        values: ``(n,)`` the numbers behind the colours; None for categories.
        ends: of numbers, what the first and the last colour but one stand for, in words; the
            last colour is that of a missing number.
        title: what is coloured.
    """

    codes: NDArray[np.uint8]
    palette: Sequence[Entry]
    title: str
    values: NDArray[np.float64] | None = None
    ends: tuple[str, str] | None = None


@dataclass(frozen=True)
class Dots:
    """What is drawn.

    Attributes:
        of: names the content; while it stays, so does the view of the visitor.
        points: ``(n, 2)`` in a box from 0 to ``extent``, the second axis upwards.
        extent: its width and height, of which the longer is 1.
        names, says: of each dot, its name and a line about it.
        shapes: ``(n,)`` uint8: places in ``kinds``; 0 is a disc, 1 a cross, 2 a ring.
        kinds: what the shapes stand for; none where the colours say it already.
    """

    of: str
    points: NDArray[np.float64]
    extent: tuple[float, float]
    names: Sequence[str]
    says: Sequence[str]
    colouring: Colouring
    shapes: NDArray[np.uint8]
    kinds: Sequence[str]


def scatter(
    dots: Dots,
    *,
    key: str,
    alt: str,
    on_open: Callable[[int], None],
    on_lasso: Callable[[NDArray[np.float64]], None],
    on_sheet: Callable[[int], None],
    per_sheet: int,
    tile: int,
    chosen: NDArray[np.bool_] | None = None,
    lasso: NDArray[np.float64] | None = None,
    lassoable: bool = True,
    erasable: bool = False,
    width: int = 1000,
) -> None:
    """Show the dots. Callbacks run before the page does.

    Args:
        on_open: is given the number of the dot that was clicked.
        on_lasso: is given the corners ``(k, 2)`` of the line that was drawn, none to forget it.
        on_sheet: is given the number of the sheet of thumbnails that is wanted; sheet i has
            those of the dots from ``i * per_sheet`` on, and is shown by :func:`sheet`.
        tile: side of a thumbnail in a sheet, in pixels.
        chosen: ``(n,)``, the dots that stand out; None is all.
        lasso: ``(k, 2)``, the line as it is kept.
        lassoable: whether something can be encircled now.
        erasable: whether there is a line to forget, be it one that is not shown here.
        width: on screen at most, in pixels.
    """
    n, colouring = len(dots.names), dots.colouring
    lines = list(dict.fromkeys(dots.says))
    place = {line: i for i, line in enumerate(lines)}
    said = np.array([place[line] for line in dots.says], np.uint32)

    def happened(kind: str, call: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        def handle() -> None:
            found = getattr(st.session_state[key], kind)
            if isinstance(found, dict):
                call(found)

        return handle

    def opened(found: dict[str, Any]) -> None:
        number = found.get("number")
        if isinstance(number, int) and 0 <= number < n:
            on_open(number)

    def drawn(found: dict[str, Any]) -> None:
        line = corners(found.get("corners"))
        if line is not None and (lassoable or not len(line)):
            on_lasso(line)

    def wanted(found: dict[str, Any]) -> None:
        number = found.get("number")
        if isinstance(number, int) and 0 <= number * per_sheet < n:
            on_sheet(number)

    _COMPONENT(
        key=key,
        data={
            "of": dots.of,
            "points": _bytes(dots.points, np.float32),
            "extent": list(dots.extent),
            "names": list(dots.names),
            "lines": lines,
            "said": _bytes(said, np.uint32),
            "codes": _bytes(colouring.codes, np.uint8),
            "palette": [
                {"name": e.name, "colour": e.colour, "shape": e.shape} for e in colouring.palette
            ],
            "title": colouring.title,
            "values": "" if colouring.values is None else _bytes(colouring.values, np.float32),
            "ends": None if colouring.ends is None else list(colouring.ends),
            "shapes": _bytes(dots.shapes, np.uint8),
            "kinds": list(dots.kinds),
            "chosen": "" if chosen is None else _bytes(chosen, np.uint8),
            "lasso": [] if lasso is None else lasso.tolist(),
            "lassoable": lassoable,
            "erasable": erasable,
            "per_sheet": per_sheet,
            "tile": tile,
            "alt": alt,
            "width": width,
        },
        on_open_change=happened("open", opened),
        on_lasso_change=happened("lasso", drawn),
        on_sheet_change=happened("sheet", wanted),
    )


def sheet(of: str, number: int, picture: Image.Image | None, *, key: str) -> None:
    """Hand the browser a sheet of thumbnails, which it keeps.

    Args:
        of: as of the dots that it belongs to.
        picture: tiles in reading order, as many across as the square root of their number.
    """
    image = "" if picture is None else data_uri(jpeg_bytes(picture, 80), "image/jpeg")
    _SHEETS(key=key, data={"of": of, "number": number, "image": image})


def corners(found: Any) -> NDArray[np.float64] | None:
    """Corners ``(k, 2)`` that came from a browser; None where they are none."""
    if not isinstance(found, list) or len(found) > MOST_CORNERS:
        return None
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2:
            return None
        if not all(type(number) in (int, float) for number in pair):
            return None
    line = np.array(found, np.float64).reshape(-1, 2)
    if len(line) in (1, 2) or not np.isfinite(line).all():
        return None
    return np.clip(line, -MARGIN, 1 + MARGIN)


def _bytes(values: NDArray[Any], kind: type[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
