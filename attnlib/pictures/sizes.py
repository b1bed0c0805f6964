"""Sizes: patches to pixels, and pictures to the size that they are drawn at.

Sizes are `(width, height)` in pixels, as in Pillow; arrays are `(rows, cols)` or `(h, w)`.
Pixel x of a width w shows column floor((x + 1/2) · cols / w), everywhere in this wing.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from attnlib.pictures.colormaps import finite

Interpolation = Literal["nearest", "smooth"]


def keep_top(values: ArrayLike, fraction: float) -> NDArray[np.bool_]:
    """Mask `(rows, cols)` of the ceil(fraction · rows · cols) patches largest in size |value|.

    Among equals the patch that comes first in reading order is kept, so the count is exact.

    Raises:
        ValueError: `fraction` is outside [0, 1], or a value is not finite.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"the fraction of patches to keep must be in [0, 1], not {fraction}")
    array = finite(values)
    # Rounded first: 0.07 * 100 is 7.000000000000001, which must not keep an eighth patch.
    count = math.ceil(round(fraction * array.size, 9))
    mask = np.zeros(array.size, dtype=np.bool_)
    mask[np.argsort(-np.abs(array), axis=None, kind="stable")[:count]] = True
    return mask.reshape(array.shape)


def resize(
    values: ArrayLike, size: tuple[int, int], interpolation: Interpolation = "nearest"
) -> NDArray[np.float64]:
    """A map at the size of a picture, `(h, w)` for `size` = (width, height).

    "nearest" shows patches as cells, also where the size is no multiple of the grid. "smooth"
    is bicubic, clipped to the range of `values`: it invents no new extreme.

    Raises:
        ValueError: a value is not finite, a side is below 1, or `interpolation` is unknown.
    """
    array = finite(values)
    if interpolation == "nearest":
        return as_cells(array, checked(size))
    if interpolation == "smooth":
        picture = Image.fromarray(array.astype(np.float32))
        smooth = picture.resize(checked(size), Image.Resampling.BICUBIC)
        return np.asarray(smooth, dtype=np.float64).clip(array.min(), array.max())
    raise ValueError(f"unknown interpolation {interpolation!r}; known: nearest, smooth")


def enlarge(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at `size`: bicubic where a side grows, Lanczos otherwise.

    Bicubic for tiny pictures too: cells the size of a pixel would compete with the cells of the
    patch grid drawn over them, and a factor that is no integer would make them uneven.

    Raises:
        ValueError: a side is below 1.
    """
    if checked(size) == picture.size:
        return picture.copy()
    grows = size[0] > picture.width or size[1] > picture.height
    return picture.resize(size, Image.Resampling.BICUBIC if grows else Image.Resampling.LANCZOS)


def fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """``(width, height)`` scaled so that the longer one is ``side``."""
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def checked(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < 1:
        raise ValueError(f"both sides of a picture must be at least 1, not {size}")
    return size


def as_cells(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Each patch as a cell of equal pixels, `(h, w, ...)`. In integers: floats miss ties."""
    (rows, cols), (width, height) = array.shape[:2], size
    down = (2 * np.arange(height) + 1) * rows // (2 * height)
    across = (2 * np.arange(width) + 1) * cols // (2 * width)
    found: NDArray[Any] = array[down][:, across]
    return found


def reach(size: tuple[int, int], covers: tuple[float, float]) -> tuple[int, int]:
    """(width, height) in pixels of what the patches cover of a picture of `size`."""
    return max(1, round(size[0] * covers[1])), max(1, round(size[1] * covers[0]))


def span(place: int, count: int, side: int) -> tuple[int, int]:
    """The first of `side` pixels that shows cell `place` of `count`, and that of the next cell."""
    first, after = (-((count - 2 * side * p) // (2 * count)) for p in (place, place + 1))
    return first, after
