"""How the maps of an opened image are drawn: colours, scale, and what of them is shown."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.pictures import SCALES, ScaleKind, Style
from attnlib.dashboard.parts.style import colours
from attnlib.pictures.overlay import Interpolation

INTERPOLATIONS: tuple[Interpolation, ...] = ("nearest", "smooth")


def choose() -> tuple[Style, ScaleKind]:
    """The expander “How it is drawn”."""
    with st.expander("How it is drawn", icon=":material/palette:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            colormap = colours()
            scale = controls.segments(
                "scale",
                "Scale",
                SCALES,
                help=(
                    "× uniform: 1 is what every patch gets if all get the same. Shared: from 0 to "
                    "the largest value shown. Per image: from the smallest value to the largest."
                ),
            )
            interpolation = controls.segments(
                "interpolation",
                "Patches",
                INTERPOLATIONS,
                help="Nearest shows the patches as they are; smooth blends them.",
            )
        with st.container(horizontal=True):
            opacity = controls.slider(
                "opacity",
                "Opacity",
                0.0,
                1.0,
                0.5,
                0.05,
                width=220,
                help="Of the map over the picture.",
            )
            keep = controls.slider(
                "keep",
                "Strongest patches shown, %",
                5,
                100,
                100,
                5,
                width=220,
                help="Dims all but the strongest patches.",
            )
    style = Style(
        colormap=colormap,
        opacity=opacity,
        interpolation=interpolation,
        keep=None if keep == 100 else keep / 100,
    )
    return style, scale
