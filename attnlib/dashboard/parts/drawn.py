"""How maps are drawn: colours, opacity and what of them is shown, the same on every page."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import Number, OneOf, YesNo
from attnlib.dashboard.parts.pictures import Style
from attnlib.pictures.colormaps import SEQUENTIAL
from attnlib.pictures.layer import OPACITY, Mode
from attnlib.pictures.overlay import Interpolation

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
MODES: dict[Mode, str] = {
    "overlay": "Over the picture",
    "outline": "Outline",
    "map": "Beside it",
    "off": "Off",
}


def popover() -> None:
    """The controls, behind one button at the top of a page."""
    with controls.drawer(
        "drawing_open",
        "Drawing",
        icon=":material/palette:",
        help="How maps are drawn, everywhere.",
    ) as place:
        if place.open:
            _controls()


def _controls() -> None:
    controls.segments(
        "mode",
        "Map",
        list(MODES),
        title=MODES.__getitem__,
        help=(
            "Over the picture, whose colours are muted; the strongest patches outlined on the "
            "picture as it is; the map alone, with the picture beside it; or no map."
        ),
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.choice(
            "colormap",
            "Colours",
            SEQUENTIAL,
            width=140,
            help="Cividis suits every kind of colour blindness. Signed maps are blue and red.",
        )
        controls.segments(
            "interpolation",
            "Patches",
            INTERPOLATIONS,
            help="Nearest shows the patches as they are; smooth blends them.",
        )
    controls.slider(
        "opacity", "Opacity", 0.0, 1.0, OPACITY, 0.05, help="Of the largest value of the map."
    )
    controls.toggle(
        "fade",
        "Opacity grows with the value",
        default=True,
        help="Where the map is 0 the picture is untouched. Off: the same opacity everywhere.",
    )
    controls.slider(
        "keep",
        "Strongest patches shown, %",
        5,
        100,
        100,
        5,
        help="Dims all but the strongest patches; at 100 an outline has a tenth of them.",
    )


def style() -> Style:
    """What is chosen, on pages too where the controls do not stand."""
    keep = address.value("keep", 100, Number(5, 100), label="Strongest patches shown, %")
    return Style(
        colormap=address.value("colormap", SEQUENTIAL[0], OneOf(SEQUENTIAL), label="Colours"),
        opacity=address.value("opacity", OPACITY, Number(0.0, 1.0), label="Opacity"),
        fade=address.value("fade", True, YesNo(), label="Opacity grows with the value"),
        interpolation=address.value(
            "interpolation", INTERPOLATIONS[0], OneOf(INTERPOLATIONS), label="Patches"
        ),
        keep=None if keep == 100 else keep / 100,
        mode=address.value("mode", "overlay", OneOf(list(MODES), MODES.__getitem__), label="Map"),
    )
