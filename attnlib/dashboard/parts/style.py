"""The legend under maps that share a scale."""

from __future__ import annotations

import html

import streamlit as st

from attnlib.dashboard.parts import pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import Style
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.layer import OUTLINED
from attnlib.pictures.overlay import data_uri, legend, png_bytes


def legend_bar(
    scale: Scale,
    text: str = "",
    colormap: str | None = None,
    width: int = 410,
    style: Style | None = None,
) -> None:
    """The colour bar, its ticks, and what the numbers are.

    Args:
        text: Markdown after the scale's own label.
        colormap: of maps that are drawn alone; None takes the palette that suits the scale.
        style: of maps that lie over pictures, which has the colours too.
    """
    colour_bar(scale, colormap, width, style)
    st.caption(f"**{literal(scale.label)}**" + (f" · {text}" if text else ""))


def colour_bar(scale: Scale, colormap: str | None, width: int, style: Style | None = None) -> None:
    """The bar with its ends and its mark; a mark too near to an end would be written over it."""
    with st.container(width=width, gap=None):
        over = style is not None and style.mode == "overlay"
        if style is not None:
            colormap = None if scale.signed else style.colormap
        bar = legend(
            scale,
            colormap,
            width,
            10,
            style.opacity if style is not None and over else None,
            style is None or style.fade,
        )
        pictures.show(bar, width, alt="Colour scale")
        ticks = "".join(
            f"<span style='position:absolute;left:{position:.1%};"
            f"transform:translateX(-{position:.0%})'>{label}</span>"
            for position, label in scale.ticks
            if position in (0.0, 1.0) or 0.05 < position < 0.92
        )
        st.html(f"<div style='position:relative;height:1.2em;font-size:.8rem'>{ticks}</div>")


def map_bar(style: Style, signed: bool = False) -> bytes:
    """The colours of maps from 0 to the largest value, as they lie over a grey, as PNG.

    Args:
        signed: of maps with a sign, from minus the largest value.
    """
    opacity = None if style.mode == "map" else style.opacity
    scale = Scale(-1.0 if signed else 0.0, 1.0, signed, "")
    colormap = None if signed else style.colormap
    return png_bytes(legend(scale, colormap, 160, 10, opacity, style.fade))


def map_legend(style: Style, text: str, signed: bool = False) -> None:
    """What the colours of maps on scales of their own mean, in one line.

    Args:
        text: what the largest value is of.
        signed: whether the maps have a sign.
    """
    if style.mode == "off":
        st.caption("Maps are off: switch them on under “Drawing”.")
        return
    if style.mode == "outline":
        share = style.keep or OUTLINED
        st.caption(f"Outlined: the strongest {share:.0%} of the patches. {literal(text)}")
        return
    row = "display:flex;flex-wrap:wrap;align-items:center;gap:.1rem .4rem"
    st.html(
        f"<div style='{row};font-size:.8rem;line-height:1.3'>{'against' if signed else 0}"
        f"<img src='{data_uri(map_bar(style, signed), 'image/png')}' alt='Colour scale' "
        "style='width:160px;height:10px;border-radius:3px'>"
        f"<span style='flex:1 1 16rem'>{html.escape(text)}</span></div>"
    )
