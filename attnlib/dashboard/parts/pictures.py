"""Maps drawn over crops, the same way on every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image

from attnlib.methods import Heat
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import Interpolation, enlarge, overlay, png_bytes

ScaleKind = Literal["× uniform", "shared", "per image"]
SCALES: tuple[ScaleKind, ...] = get_args(ScaleKind)


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


def scale_of(heats: list[Heat], kind: ScaleKind = "× uniform") -> Scale:
    """One scale for maps that stand side by side.

    Multiples of the uniform share where values are shares of one whole; otherwise (relevance)
    from 0, or symmetric around it, to the largest value of any of the maps.
    """
    values = [heat.values for heat in heats]
    first = heats[0]
    if kind == "per image" and len(values) == 1:
        return Scale.per_image(values[0], label=first.unit)
    if kind == "× uniform" and first.share and not first.signed:
        return Scale.times_uniform(np.stack(values), first.values.size)
    return Scale.shared(values, signed=first.signed, label=first.unit)


def draw(crop: Image.Image, heat: Heat, scale: Scale, style: Style, side: int = 224) -> Image.Image:
    """The map over the crop; the longer side of the picture is ``side`` pixels."""
    colormap = None if heat.signed else style.colormap
    return overlay(
        crop,
        heat.values,
        scale,
        colormap=colormap,
        opacity=style.opacity,
        interpolation=style.interpolation,
        keep=style.keep,
        size=fit(crop.size, side),
    )


def plain(crop: Image.Image, side: int = 224) -> Image.Image:
    """The crop alone at the size of the maps."""
    return enlarge(crop, fit(crop.size, side))


def fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """``(width, height)`` scaled so that the longer one is ``side``."""
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def encoded(picture: Image.Image) -> bytes:
    """Lossless bytes: heat maps must not be blurred by JPEG."""
    return png_bytes(picture)
