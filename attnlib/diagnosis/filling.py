"""Pictures without their object, and objects on the ground of another picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Mask = NDArray[np.bool_]
# Below this weight of known pixels a place is filled from farther away.
_FAINT = 0.05


def filled(picture: Image.Image, gone: Mask) -> Image.Image:
    """The picture with a part, ``(h, w)`` bool, filled from the colours around it.

    Each pixel gets the mean of the known pixels about it under a Gaussian, the narrowest that
    reaches any: smooth, without a shape of its own. Grey where nothing is known.
    """
    if not gone.any():
        return picture
    values = np.asarray(picture, dtype=np.float32)
    known = (~gone).astype(np.float32)
    colours = values if values.ndim == 3 else values[..., None]
    filling = np.full(colours.shape, 127.5, np.float32)
    left = gone.copy()
    deviation = max(1.0, 0.02 * min(picture.size))
    while left.any() and known.any() and deviation <= 2 * max(picture.size):
        weight = _blurred(known, deviation)
        ready = left & (weight > _FAINT)
        if ready.any():
            for channel in range(colours.shape[2]):
                sums = _blurred(colours[..., channel] * known, deviation)
                filling[ready, channel] = (sums / np.maximum(weight, 1e-6))[ready]
            left &= ~ready
        deviation *= 2
    if left.any() and known.any():
        filling[left] = colours[~gone].mean(axis=0)
    mixed = np.where(gone[..., None], filling, colours)
    made = np.round(np.clip(mixed, 0, 255)).astype(np.uint8)
    return Image.fromarray(made if values.ndim == 3 else made[..., 0])


def on_ground(picture: Image.Image, mask: Mask, ground: Image.Image) -> Image.Image:
    """The picture's object, ``(h, w)`` bool, on another picture, which is made to fit its size."""
    fitted = ground.convert(picture.mode).resize(picture.size, Image.Resampling.BICUBIC)
    return Image.composite(picture, fitted, Image.fromarray(mask))


def elsewhere(mask: Mask, rng: np.random.Generator, tries: int = 16) -> Mask:
    """A region of the object's shape at another place: of some random ones, the one that covers
    least of the object."""
    height, width = mask.shape
    best = mask
    for _ in range(tries):
        shift = (int(rng.integers(height)), int(rng.integers(width)))
        moved = np.roll(mask, shift, axis=(0, 1))
        if (moved & mask).sum() < (best & mask).sum():
            best = moved
    return best


def _blurred(values: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    found = ndimage.gaussian_filter(values, deviation, mode="constant", truncate=2.0)
    return np.asarray(found, dtype=np.float32)
