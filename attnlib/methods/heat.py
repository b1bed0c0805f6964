"""One attribution map, what its numbers mean, and the picture that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.errors import AttnlibError
from attnlib.pictures import markup
from attnlib.pictures.colormaps import SEQUENTIAL, Scale
from attnlib.pictures.layer import OPACITY, Mode
from attnlib.pictures.overlay import Interpolation, fit, legend, overlay

ScaleKind = Literal["× uniform", "shared", "per image"]
SCALES: tuple[ScaleKind, ...] = get_args(ScaleKind)


@dataclass(frozen=True)
class Heat:
    """One attribution map.

    Attributes:
        values: ``(rows, cols)`` float32, one number per patch, read-only.
        unit: what a value means.
        query: whose view it is ("CLS token", "patch (3, 4)", …).
        method: registry name of the method.
        target: class index that it explains, or None for a class-agnostic method.
        signed: whether negative values mean evidence against.
        share: whether values are shares of one whole, so that 1/N per patch is "uniform".
        options: the options used, defaults included.
        crop: ``(h, w, 3)`` uint8, the part of the image that the model saw; None where the map
            was made for a subject, whose image is kept elsewhere.
        covers: how far the patches reach, in shares of the crop's height and width; see
            :meth:`attnlib.capture.tokens.TokenLayout.covers`.
    """

    values: NDArray[np.float32]
    unit: str
    query: str
    method: str
    target: int | None = None
    signed: bool = False
    share: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    crop: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    covers: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        self.values.setflags(write=False)

    def scale(self) -> Scale:
        """The scale that the map has when it stands alone; see :func:`scale_of`."""
        return scale_of([self])

    def overlay(
        self,
        picture: Image.Image | None = None,
        *,
        scale: Scale | None = None,
        colormap: str = SEQUENTIAL[0],
        opacity: float = OPACITY,
        interpolation: Interpolation = "nearest",
        keep: float | None = None,
        side: int = 224,
        fade: bool = True,
        mode: Mode = "overlay",
    ) -> Image.Image:
        """The map over its crop as an RGB picture, as the dashboard draws it.

        Args:
            picture: the crop, where the map does not bring its own.
            scale: what the colours stand for; give one scale to maps that are compared.
            colormap: of a map without sign; a signed one is blue and red.
            opacity, interpolation, keep, fade, mode: as in
                :func:`attnlib.pictures.overlay.overlay`.
            side: pixels of the longer side.

        Raises:
            AttnlibError: there is no crop.
        """
        if picture is None:
            if self.crop is None:
                raise AttnlibError(
                    "This map has no picture of its own: give the crop, overlay(vit.crop(image))."
                )
            picture = Image.fromarray(self.crop)
        return overlay(
            picture,
            self.values,
            scale or self.scale(),
            colormap=None if self.signed else colormap,
            opacity=opacity,
            interpolation=interpolation,
            keep=keep,
            size=fit(picture.size, side),
            covers=self.covers,
            fade=fade,
            mode=mode,
        )

    def _repr_html_(self) -> str:
        scale = self.scale()
        low, *middle, high = (text for _, text in scale.ticks)
        ends = " · ".join([low, *middle, high])
        target = "" if self.target is None else f", class {self.target}"
        words = f"{self.method}, seen from the {self.query}{target}"
        bar = legend(scale, width=224, opacity=OPACITY)
        shown = (
            markup.facts("map without its picture", [("patches", f"{self.values.shape}")])
            if self.crop is None
            else markup.figure(self.overlay(), words)
        )
        return f"<div>{shown}<br>{markup.figure(bar, f'{ends} {scale.label or self.unit}')}</div>"


def scale_of(heats: Sequence[Heat], kind: ScaleKind = "× uniform") -> Scale:
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
