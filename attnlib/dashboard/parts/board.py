"""Cards of figures as one element: pairs stay together, and hovering marks a patch in all of them.

A figure is a picture with a map laid over it by the browser: the picture is sent once, the map as
a layer with a pixel for each patch (see :func:`attnlib.pictures.layer.layer`), which is exact and
small. Files are drawn by :func:`attnlib.dashboard.parts.pictures.draw`, to the same pixels.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.dashboard.parts.pictures import Style
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.methods import Heat
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.layer import OUTLINED, SATURATION, layer, outline
from attnlib.pictures.overlay import data_uri, enlarge, fit, jpeg_bytes, keep_top, png_bytes

Density = Literal["cards", "grid", "case"]

_HERE = Path(__file__)
_COMPONENT = st.components.v2.component(
    "attnlib_board",
    html='<div class="board"><div class="cards"></div></div>',
    css=_HERE.with_name("board.css").read_text(),
    js=_HERE.with_name("board.js").read_text(),
)
# Below this a photograph is small without loss, and its pixels can be counted.
_LOSSLESS = 96
# Of an interpolated layer, pixels of the longer side.
_SMOOTH = 160


@dataclass(frozen=True)
class Figure:
    """One picture, with a map or without.

    Attributes:
        picture: names the picture among those sent, see :func:`show`.
        heat: the map; None for the picture alone.
        scale: of the map.
        sync: pictures with the same one show the same image: the pointer marks a patch in all.
        grid, covers: patches ``(rows, cols)`` and how far they reach, for a picture without map.
    """

    picture: str
    caption: str
    heat: Heat | None = None
    scale: Scale | None = None
    sync: str = ""
    grid: tuple[int, int] = (0, 0)
    covers: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Pair:
    """Pictures that belong together, and what they are.

    Attributes:
        far: whether the words are a warning.
    """

    figures: Sequence[Figure]
    words: str
    far: bool = False


@dataclass(frozen=True)
class Bar:
    """One class with its probability.

    Attributes:
        share: length of the bar, 0 to 1; None for a number that is no share.
        kind: ``"right"``, ``"wrong"`` or ``""``, which is a colour.
        threshold: where a mark stands, or None.
    """

    label: str
    role: str
    text: str
    share: float | None
    kind: str = ""
    threshold: float | None = None


@dataclass(frozen=True)
class Card:
    """One image and what is said of it; see `board.js` for what is shown at which density."""

    name: str
    figures: Sequence[Figure]
    pairs: Sequence[Pair] = ()
    word: str = ""
    outcome: str = ""
    said: str = ""
    confidence: str = ""
    bars: Sequence[Bar] = ()
    lines: Sequence[str] = ()
    tags: Sequence[str] = ()
    problem: str = ""


@dataclass
class Pictures:
    """The pictures of a board, each once, by name: as data URI, and width over height."""

    uris: dict[str, str] = field(default_factory=dict)
    aspects: dict[str, float] = field(default_factory=dict)

    def put(self, name: str, crop: Image.Image, uri: str) -> None:
        """Add one that is encoded already; see :func:`encoded`."""
        self.uris[name], self.aspects[name] = uri, crop.width / crop.height


def encoded(crop: Image.Image, side: int) -> str:
    """A photograph as a data URI, at most ``side`` pixels; small ones without loss."""
    if max(crop.size) > side:
        crop = enlarge(crop, fit(crop.size, side))
    if max(crop.size) <= _LOSSLESS:
        return data_uri(png_bytes(crop), "image/png")
    return data_uri(jpeg_bytes(crop), "image/jpeg")


def show(
    cards: Sequence[Card],
    pictures: Pictures,
    *,
    key: str,
    density: Density,
    style: Style,
    side: int,
    small: int = 0,
    on_open: Callable[[str], None] | None = None,
    focus: str = "",
) -> None:
    """Draw the cards.

    Args:
        side, small: width on screen of a figure, and of one in a pair, at most, in pixels.
        on_open: called with the name of the card that was opened.
        focus: name of the card to show first, where the board is new.
    """
    names = {card.name for card in cards}

    def opened() -> None:
        name = st.session_state[key].open
        # What comes from a browser is checked like any other input.
        if on_open is not None and isinstance(name, str) and name in names:
            on_open(name)

    data: dict[str, Any] = {
        "density": density,
        "opens": on_open is not None,
        "pictures": pictures.uris,
        "cards": [_card(card, pictures, style) for card in cards],
        "focus": focus,
        "css": {
            "--side": f"{side}px",
            "--small": f"{small}px",
            "--saturation": str(SATURATION),
        },
    }
    data["version"] = hashlib.sha256(json.dumps(data).encode()).hexdigest()
    _COMPONENT(key=key, data=data, on_open_change=opened)


def _card(card: Card, pictures: Pictures, style: Style) -> dict[str, Any]:
    return {
        "name": card.name,
        "figures": [_figure(one, pictures, style) for one in card.figures],
        "pairs": [
            {
                "figures": [_figure(one, pictures, style) for one in pair.figures],
                "words": pair.words,
                "far": pair.far,
            }
            for pair in card.pairs
        ],
        "word": card.word,
        "outcome": card.outcome,
        "said": card.said,
        "confidence": card.confidence,
        "bars": [vars(bar) for bar in card.bars],
        "lines": list(card.lines),
        "tags": list(card.tags),
        "problem": card.problem,
    }


def _figure(one: Figure, pictures: Pictures, style: Style) -> dict[str, Any]:
    DRAWING.give_way()
    heat, scale = one.heat, one.scale
    rows, cols = one.grid if heat is None else heat.values.shape
    said: dict[str, Any] = {
        "base": one.picture,
        "aspect": pictures.aspects[one.picture],
        "caption": one.caption,
        "alt": one.caption,
        "sync": one.sync,
        "rows": rows,
        "cols": cols,
        "covers": list(one.covers if heat is None else heat.covers),
        "mode": "",
        "layer": "",
        "outline": "",
        "smooth": style.interpolation == "smooth",
        "values": "",
        "factor": 1.0,
        "unit": "",
    }
    if heat is None or scale is None:
        return said
    values = np.ascontiguousarray(heat.values, np.float32)
    said["values"] = base64.b64encode(values.tobytes()).decode()
    said["factor"], said["unit"] = scale.factor, scale.label
    if style.mode == "outline":
        edges = outline(keep_top(heat.values, style.keep or OUTLINED))
        said["outline"] = "".join(f"M{c0} {r0}L{c1} {r1}" for r0, c0, r1, c1 in edges)
    elif style.mode != "off":
        said["mode"] = "alone" if style.mode == "map" else "muted"
        said["layer"] = data_uri(png_bytes(layer_of(heat, scale, style)), "image/png")
    return said


def layer_of(heat: Heat, scale: Scale, style: Style) -> Image.Image:
    """The map as it is laid over its picture, RGBA: a pixel for each patch, or blended ones."""
    rows, cols = heat.values.shape
    return layer(
        heat.values,
        scale,
        None if scale.signed else style.colormap,
        style.opacity,
        fade=style.fade,
        alone=style.mode == "map",
        keep=style.keep,
        size=fit((cols, rows), _SMOOTH) if style.interpolation == "smooth" else None,
        interpolation=style.interpolation,
    )
