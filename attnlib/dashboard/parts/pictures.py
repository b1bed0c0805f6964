"""Maps drawn over crops, the same way on every page."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from PIL import Image

from attnlib.methods import Heat
from attnlib.methods.heat import SCALES as SCALES
from attnlib.methods.heat import ScaleKind as ScaleKind
from attnlib.methods.heat import scale_of as scale_of
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import Interpolation, enlarge, png_bytes
from attnlib.pictures.overlay import fit as fit


@dataclass(frozen=True)
class Style:
    """How maps are drawn; the same for all maps that are compared.

    Attributes:
        colormap: a sequential palette; signed maps have one of their own.
        opacity: of the map over the picture, 0 to 1.
        interpolation: ``"nearest"`` shows the patches, ``"smooth"`` hides them.
        keep: share of the patches to show, the strongest first; None shows all.
    """

    colormap: str = "inferno"
    opacity: float = 0.5
    interpolation: Interpolation = "nearest"
    keep: float | None = None


def draw(crop: Image.Image, heat: Heat, scale: Scale, style: Style, side: int = 224) -> Image.Image:
    """The map over the crop; the longer side of the picture is ``side`` pixels."""
    return heat.overlay(
        crop,
        scale=scale,
        colormap=style.colormap,
        opacity=style.opacity,
        interpolation=style.interpolation,
        keep=style.keep,
        side=side,
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
    """
    data = picture if isinstance(picture, bytes) else encoded(picture)
    with st.container(width=width, gap=None):
        st.image(data, width="stretch", output_format="PNG", caption=caption, alt=alt)


def encoded(picture: Image.Image) -> bytes:
    """Lossless bytes: heat maps must not be blurred by JPEG."""
    return png_bytes(picture)
