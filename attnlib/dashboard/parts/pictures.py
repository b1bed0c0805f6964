"""Maps drawn over crops, the same way on every page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from numpy.typing import ArrayLike
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.methods import Heat
from attnlib.methods.heat import SCALES as SCALES
from attnlib.methods.heat import ScaleKind as ScaleKind
from attnlib.methods.heat import scale_of as scale_of
from attnlib.pictures.colormaps import SEQUENTIAL, Scale
from attnlib.pictures.layer import OPACITY, Mode
from attnlib.pictures.overlay import Interpolation, enlarge, overlay, png_bytes
from attnlib.pictures.overlay import fit as fit


@dataclass(frozen=True)
class Style:
    """How maps are drawn; the same for all maps that are compared, and on every page.

    Attributes:
        colormap: a sequential palette; signed maps have one of their own.
        opacity: of the largest value over the picture, 0 to 1.
        fade: whether the opacity grows with the value from 0, or is the same everywhere.
        interpolation: ``"nearest"`` shows the patches, ``"smooth"`` hides them.
        keep: share of the patches to show, the strongest first; None shows all.
        mode: colours over the picture, an outline, the map alone, or the picture alone.
    """

    colormap: str = SEQUENTIAL[0]
    opacity: float = OPACITY
    fade: bool = True
    interpolation: Interpolation = "nearest"
    keep: float | None = None
    mode: Mode = "overlay"


def draw(crop: Image.Image, heat: Heat, scale: Scale, style: Style, side: int = 224) -> Image.Image:
    """The map over the crop; the longer side of the picture is ``side`` pixels."""
    return over(crop, heat.values, scale, style, side, heat.covers)


def over(
    crop: Image.Image,
    values: ArrayLike,
    scale: Scale,
    style: Style,
    side: int = 224,
    covers: tuple[float, float] = (1.0, 1.0),
) -> Image.Image:
    """Values ``(rows, cols)`` over the crop, as :func:`draw`."""
    return overlay(
        crop,
        values,
        scale,
        None if scale.signed else style.colormap,
        style.opacity,
        style.interpolation,
        style.keep,
        fit(crop.size, side),
        covers,
        fade=style.fade,
        mode=style.mode,
    )


def plain(crop: Image.Image, side: int = 224) -> Image.Image:
    """The crop alone at the size of the maps."""
    return enlarge(crop, fit(crop.size, side))


def show(picture: Image.Image | bytes, width: int, *, alt: str, caption: str | None = None) -> None:
    """A picture on screen, without loss and with all its pixels.

    Left to itself, Streamlit makes a JPEG of it at its width on screen: colours move by up to 20
    levels at the edges of patches, screens with small pixels show a blur, and an animation stops.

    Args:
        width: on screen, in pixels; narrower where there is no room.
        alt: what it shows, for those who cannot see it.
        caption: below it, as plain text.
    """
    DRAWING.give_way()
    data = picture if isinstance(picture, bytes) else encoded(picture)
    shown = None if caption is None else literal(caption)
    with st.container(width=width, gap=None):
        st.image(data, width="stretch", output_format="PNG", caption=shown, alt=alt)


def beside(key: str) -> DeltaGenerator:
    """Where pictures that are compared stand side by side: on a narrow screen two in each row.

    Args:
        key: names the place on the page.
    """
    return st.container(horizontal=True, gap="small", key=f"beside-{key}")


def encoded(picture: Image.Image) -> bytes:
    """Lossless bytes: heat maps must not be blurred by JPEG."""
    return png_bytes(picture)
