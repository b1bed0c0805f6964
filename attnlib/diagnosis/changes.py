"""Changes of a picture after which a person still sees the same, each at up to three strengths.

Noise, blur, contrast, brightness, JPEG and pixelation are those of ImageNet-C at its severities 1,
3 and 5, and of CIFAR-10-C for pictures as small as those (Hendrycks & Dietterich, ICLR 2019).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

# Up to this shorter side in pixels a picture counts as small.
SMALL = 64
# The sides for which blur is given in pixels.
_LARGE_SIDE, _SMALL_SIDE = 224, 32

Apply = Callable[[Image.Image, float, int], Image.Image]


@dataclass(frozen=True)
class Kind:
    """One kind of change.

    Attributes:
        name: as on screen.
        apply: gets a picture, the parameter and a seed; returns a picture of the same size.
        large, small: the parameter at each strength, the mildest first, for pictures of usual
            size and for small ones.
    """

    name: str
    apply: Apply
    large: tuple[float, ...]
    small: tuple[float, ...]


@dataclass(frozen=True)
class Change:
    """One kind at one strength.

    Attributes:
        kind: name of the kind.
        strength: 1 is the mildest.
        parameter: what was given to the kind.
    """

    kind: str
    strength: int
    parameter: float

    @property
    def title(self) -> str:
        """The change in words."""
        several = len(KINDS[self.kind].large) > 1
        return f"{self.kind} (strength {self.strength})" if several else self.kind

    def of(self, picture: Image.Image, seed: int = 0) -> Image.Image:
        """The changed picture, of the same size and mode."""
        changed = KINDS[self.kind].apply(picture, self.parameter, seed)
        return changed if changed.mode == picture.mode else changed.convert(picture.mode)


def changes(picture: Image.Image) -> list[Change]:
    """All changes, for a picture of this size, strength by strength within each kind."""
    small = min(picture.size) <= SMALL
    return [
        Change(name, strength, parameter)
        for name, kind in KINDS.items()
        for strength, parameter in enumerate(kind.small if small else kind.large, start=1)
    ]


def _shift(right: int, down: int) -> Apply:
    """By a share of the shorter side; the edge is repeated where nothing is left."""

    def apply(picture: Image.Image, share: float, seed: int) -> Image.Image:
        step = max(1, round(share * min(picture.size)))
        values = np.asarray(picture)
        y = np.clip(np.arange(values.shape[0]) - down * step, 0, values.shape[0] - 1)
        x = np.clip(np.arange(values.shape[1]) - right * step, 0, values.shape[1] - 1)
        return Image.fromarray(np.ascontiguousarray(values[y][:, x]), picture.mode)

    return apply


def _crop(picture: Image.Image, share: float, seed: int) -> Image.Image:
    """The middle, enlarged to the size of the whole."""
    width, height = picture.size
    across, down = width * (1 - share) / 2, height * (1 - share) / 2
    box = (across, down, width - across, height - down)
    return picture.resize(picture.size, Image.Resampling.BICUBIC, box)


def _jpeg(picture: Image.Image, quality: float, seed: int) -> Image.Image:
    colours = picture.convert("L" if picture.mode == "L" else "RGB")
    written = io.BytesIO()
    colours.save(written, "JPEG", quality=int(quality))
    read = Image.open(io.BytesIO(written.getvalue())).convert(colours.mode)
    return _with_opacity(read, picture)


def _brightness(picture: Image.Image, more: float, seed: int) -> Image.Image:
    """More of V in HSV, which scales all colours of a pixel alike."""

    def brighter(values: NDArray[np.float64]) -> NDArray[np.float64]:
        value = values.max(axis=-1, keepdims=True)
        target = np.clip(value + more, 0, 1)
        return np.asarray(
            np.where(value > 0, values * (target / np.where(value > 0, value, 1)), target)
        )

    return _on_values(picture, brighter)


def _contrast(picture: Image.Image, factor: float, seed: int) -> Image.Image:
    def flatter(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mean = values.mean(axis=(0, 1), keepdims=True)
        return np.asarray((values - mean) * factor + mean)

    return _on_values(picture, flatter)


def _noise(picture: Image.Image, deviation: float, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    return _on_values(picture, lambda values: values + rng.normal(0, deviation, values.shape))


def _blur(picture: Image.Image, deviation: float, seed: int) -> Image.Image:
    side = min(picture.size)
    usual = _SMALL_SIDE if side <= SMALL else _LARGE_SIDE
    # Pillow's is made of boxes, which leave a picture as it is below half a pixel.
    spread = (deviation * side / usual,) * 2

    def blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values, (*spread, 0), mode="mirror"))

    return _on_values(picture, blurred)


def _pixelate(picture: Image.Image, share: float, seed: int) -> Image.Image:
    few = (max(1, int(picture.width * share)), max(1, int(picture.height * share)))
    return picture.resize(few, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


def _mirror(picture: Image.Image, parameter: float, seed: int) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _on_values(
    picture: Image.Image, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> Image.Image:
    """Change the colours, ``(h, w, channels)`` from 0 to 1; opacity stays."""
    colours = picture.convert("L" if picture.mode == "L" else "RGB")
    values = np.asarray(colours, dtype=np.float64) / 255
    grey = values.ndim == 2
    changed = np.clip(change(values[..., None] if grey else values), 0, 1)
    bytes_ = np.round(255 * (changed[..., 0] if grey else changed)).astype(np.uint8)
    return _with_opacity(Image.fromarray(bytes_), picture)


def _with_opacity(changed: Image.Image, picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA":
        changed = changed.convert("RGBA")
        changed.putalpha(picture.getchannel("A"))
    return changed


_SHIFTS = (0.02, 0.05, 0.1)
_ALL = (
    Kind("mirror", _mirror, (0.0,), (0.0,)),
    Kind("shift left", _shift(-1, 0), _SHIFTS, _SHIFTS),
    Kind("shift down", _shift(0, 1), _SHIFTS, _SHIFTS),
    Kind("crop", _crop, (0.95, 0.9, 0.8), (0.95, 0.9, 0.8)),
    Kind("JPEG", _jpeg, (25, 15, 7), (80, 58, 40)),
    Kind("brightness", _brightness, (0.1, 0.3, 0.5), (0.05, 0.15, 0.3)),
    Kind("contrast", _contrast, (0.4, 0.2, 0.05), (0.75, 0.4, 0.15)),
    Kind("noise", _noise, (0.08, 0.18, 0.38), (0.04, 0.08, 0.1)),
    Kind("blur", _blur, (1, 3, 6), (0.4, 0.7, 1.0)),
    Kind("pixelation", _pixelate, (0.6, 0.4, 0.25), (0.95, 0.85, 0.65)),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
