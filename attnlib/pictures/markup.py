"""What a notebook shows: pictures, bars and words as HTML that needs nothing from elsewhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PIL import Image

from attnlib.pictures.encoding import data_uri, png_bytes

Bar = tuple[str, float]


def words(text: object) -> str:
    """The one door through which text that a person chose reaches HTML."""
    return html.escape(str(text))


def figure(picture: Image.Image, caption: str, width: int = 224) -> str:
    """A picture, losslessly, with a caption below it."""
    source = data_uri(png_bytes(picture), "image/png")
    return (
        f"<figure style='margin:0;display:inline-block'>"
        f"<img src='{source}' width='{width}' alt='{words(caption)}'>"
        f"<figcaption style='max-width:{max(width, 224)}px;font-size:small'>{words(caption)}"
        "</figcaption></figure>"
    )


def bars(rows: Sequence[Bar], title: str) -> str:
    """A title and one bar for each (name, share from 0 to 1)."""
    lines = "".join(
        f"<tr><td style='text-align:left'>{words(name)}</td>"
        f"<td style='text-align:right'>{share:.1%}</td>"
        f"<td style='text-align:left'><div style='height:.6em;width:{share * 160:.1f}px;"
        "background:#0072b2'></div></td></tr>"
        for name, share in rows
    )
    return f"<div><b>{words(title)}</b><table>{lines}</table></div>"


def facts(title: str, rows: Sequence[tuple[str, object]]) -> str:
    """A title over a table of two columns."""
    lines = "".join(
        f"<tr><td style='text-align:left'>{words(name)}</td>"
        f"<td style='text-align:left'>{words(value)}</td></tr>"
        for name, value in rows
    )
    return f"<div><b>{words(title)}</b><table>{lines}</table></div>"
