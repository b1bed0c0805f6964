"""The legend under maps that share a scale, and the choice of their colours."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import controls, pictures
from attnlib.pictures.colormaps import SEQUENTIAL, Scale
from attnlib.pictures.overlay import legend


def legend_bar(scale: Scale, text: str = "", colormap: str | None = None, width: int = 410) -> None:
    """The colour bar, its ticks, and what the numbers are.

    Args:
        text: Markdown after the scale's own label.
    """
    colour_bar(scale, colormap, width)
    st.caption(f"**{scale.label}**" + (f" · {text}" if text else ""))


def colour_bar(scale: Scale, colormap: str | None, width: int) -> None:
    """The bar with its ends and its mark; a mark too near to an end would be written over it."""
    with st.container(width=width, gap=None):
        pictures.show(legend(scale, colormap, width, 10), width, alt="Colour scale")
        ticks = "".join(
            f"<span style='position:absolute;left:{position:.1%};"
            f"transform:translateX(-{position:.0%})'>{label}</span>"
            for position, label in scale.ticks
            if position in (0.0, 1.0) or 0.05 < position < 0.92
        )
        st.html(f"<div style='position:relative;height:1.2em;font-size:.8rem'>{ticks}</div>")


def colours() -> str:
    """The palette of maps that are not signed, the same on every page."""
    return controls.choice(
        "colormap",
        "Colours",
        SEQUENTIAL,
        width=140,
        help="Cividis suits every kind of colour blindness. Signed maps are blue and red.",
    )
