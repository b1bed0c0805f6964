"""What an image is like before any model sees it: bright, flat, colourless, blurred, framed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Images are measured at one size: how blurred a picture is depends on its pixels, and a model
# sees some hundred. Nothing is enlarged.
SIDE = 160
# Colours need fewer.
COLOURS = 64
# Weights of the perceived brightness sqrt(Σ w c²) (D. R. Finley, HSP colour model, 2006), as
# CleanVision has it.
_SEEN = np.array([0.241, 0.691, 0.068])
# Rows and columns whose grey values differ by no more than this, of 255, are a border.
EVEN = 8


@dataclass(frozen=True)
class Traits:
    """Numbers of one picture, whose longer side is shrunk to :data:`SIDE` pixels first.

    Attributes:
        brightness: sqrt(0.241 R² + 0.691 G² + 0.068 B²) of the mean colour, 0 to 1.
        contrast: standard deviation of the grey values over 255, 0 to 0.5.
        saturation: mean of (max - min) / max of red, green and blue, 0 to 1, over the pixels of the
            picture shrunk to between :data:`COLOURS` and twice as many.
        sharpness: variance of the Laplacian of the grey values (0 to 255); small is blurred.
        border: share of the picture that even rows and columns along its edges take, 0 to 1.
    """

    brightness: float
    contrast: float
    saturation: float
    sharpness: float
    border: float


def measure(picture: Image.Image) -> Traits:
    """The traits of a picture of any mode of 8 bits."""
    # Whole factors first: they cost a quarter of other resampling, and keep every mean.
    coarse = _coloured(picture.reduce(max(1, max(picture.size) // SIDE)))
    grey = _grey(coarse)
    colours = np.asarray(coarse.reduce(max(1, max(coarse.size) // COLOURS)))  # (h, w, 3)
    red, green, blue = (colours[..., channel] for channel in range(3))
    most = np.maximum(np.maximum(red, green), blue)
    spread = (most - np.minimum(np.minimum(red, green), blue)).astype(np.float32)
    mean = np.array([channel.mean() for channel in (red, green, blue)])
    return Traits(
        brightness=float(np.sqrt(_SEEN @ mean**2)) / 255,
        contrast=float(grey.std(dtype=np.float32)) / 255,
        saturation=float((spread / np.maximum(most, 1)).mean()),
        sharpness=_sharpness(grey),
        border=_border(grey),
    )


def _coloured(picture: Image.Image) -> Image.Image:
    """In red, green and blue, transparency laid on white."""
    if picture.mode == "RGB":
        return picture
    if "A" not in picture.getbands():
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey values ``(h, w)``, the longer side at most :data:`SIDE`."""
    grey, longer = picture.convert("L"), max(picture.size)
    if longer > SIDE:
        width, height = (max(1, round(side * SIDE / longer)) for side in picture.size)
        grey = grey.resize((width, height), Image.Resampling.BOX)
    return np.asarray(grey)


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the sum of the four neighbours minus four times the pixel; edges mirror."""
    padded = np.pad(grey.astype(np.int16), 1, mode="reflect" if min(grey.shape) > 1 else "edge")
    found = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    return float((found - 4 * padded[1:-1, 1:-1]).var(dtype=np.float32))


def _border(grey: NDArray[np.uint8]) -> float:
    """Of even rows above and below, and of even columns at either side; an even picture is 0.

    A picture that is one colour throughout has no frame.
    """
    rows = _even(grey)
    cols = _even(grey.T)
    left = (len(grey) - sum(rows)) * (grey.shape[1] - sum(cols))
    return 1 - left / grey.size if left > 0 else 0.0


def _even(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """How many lines ``(n, m)`` from the first and from the last on are one even colour."""
    low, high = lines.min(axis=1).astype(int), lines.max(axis=1).astype(int)
    found = []
    for order in (slice(None), slice(None, None, -1)):
        # All lines of one border have one colour: a gradient is none.
        lows, highs = np.minimum.accumulate(low[order]), np.maximum.accumulate(high[order])
        found.append(int((highs - lows <= EVEN).sum()))
    return found[0], found[1]
