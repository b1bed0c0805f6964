"""Numbers to pictures: heat maps, overlays, sprites and legends.

A heat map is `values: (rows, cols)`, one number per patch, row 0 at the top. What its numbers
mean is said by a `Scale`, what they look like by a palette, both from `attnlib.pictures.colormaps`.

Sizes are `(width, height)` in pixels, as in Pillow; arrays are `(rows, cols)` or `(h, w)`.
Pixel x of a width w shows column floor((x + 1/2) · cols / w), everywhere in this module.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from attnlib.pictures.colormaps import Scale as Scale
from attnlib.pictures.colormaps import entries, finite, lookup
from attnlib.pictures.colormaps import normalise as normalise
from attnlib.pictures.encoding import data_uri as data_uri
from attnlib.pictures.encoding import jpeg_bytes as jpeg_bytes
from attnlib.pictures.encoding import png_bytes as png_bytes

Interpolation = Literal["nearest", "smooth"]

# Brightness of the patches that are not kept.
_DIMMED = 0.4

_GAP = bytes((128, 128, 128))


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
        return _cells(array, _checked(size))
    if interpolation == "smooth":
        picture = Image.fromarray(array.astype(np.float32))
        smooth = picture.resize(_checked(size), Image.Resampling.BICUBIC)
        return np.asarray(smooth, dtype=np.float64).clip(array.min(), array.max())
    raise ValueError(f"unknown interpolation {interpolation!r}; known: nearest, smooth")


def heat_image(
    values: ArrayLike,
    scale: Scale,
    colormap: str | None = None,
    size: tuple[int, int] = (224, 224),
    interpolation: Interpolation = "nearest",
) -> Image.Image:
    """A map alone, as a palette picture (mode "P", a small and lossless PNG).

    `colormap` None takes the palette that suits the scale.

    Raises:
        ValueError: as `resize` and `lookup`.
    """
    positions = normalise(values, scale)
    if interpolation == "nearest":
        return _coloured(_cells(entries(positions), _checked(size)), scale, colormap)
    return _coloured(entries(resize(positions, size, interpolation)), scale, colormap)


def overlay(
    picture: Image.Image,
    values: ArrayLike,
    scale: Scale,
    colormap: str | None = None,
    opacity: float = 0.55,
    interpolation: Interpolation = "nearest",
    keep: float | None = None,
    size: tuple[int, int] | None = None,
    covers: tuple[float, float] = (1.0, 1.0),
) -> Image.Image:
    """A map drawn over the crop that the model saw, as an RGB picture.

    The opacity is the same everywhere, on signed maps too. One that grew with the value would
    be pleasing, but the same number would then look different from patch to patch, and the
    legend would be wrong.

    Args:
        picture: the crop, any size; enlarged or reduced to `size` where that is given.
        values: `(rows, cols)`.
        colormap: None takes the palette that suits the scale.
        opacity: 0 shows the picture alone, 1 the map alone.
        keep: the fraction of patches, largest first, that carry colour. The others show the
            plain picture, dimmed. None colours all.
        size: (width, height) of the result; None keeps the picture's.
        covers: how far the patches reach, in shares of the picture's height and width: below 1
            where pixels at the bottom and right are in none, above 1 where they reach beyond.

    Raises:
        ValueError: `opacity` is outside [0, 1], or as `heat_image` and `keep_top`.
    """
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must be in [0, 1], not {opacity}")
    size = size or picture.size
    base = enlarge(picture.convert("RGB"), size)
    reach = _reach(size, covers)
    colours = base.copy()
    colours.paste(heat_image(values, scale, colormap, reach, interpolation).convert("RGB"))
    blended = Image.blend(base, colours, opacity)
    if keep is None:
        return blended
    kept = Image.new("L", size)
    kept.paste(Image.fromarray(_cells(keep_top(values, keep), reach).astype(np.uint8) * 255))
    dimmed = Image.blend(Image.new("RGB", size), base, _DIMMED)
    return Image.composite(blended, dimmed, kept)


def enlarge(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at `size`: bicubic where a side grows, Lanczos otherwise.

    Bicubic for tiny pictures too: cells the size of a pixel would compete with the cells of the
    patch grid drawn over them, and a factor that is no integer would make them uneven.

    Raises:
        ValueError: a side is below 1.
    """
    if _checked(size) == picture.size:
        return picture.copy()
    grows = size[0] > picture.width or size[1] > picture.height
    return picture.resize(size, Image.Resampling.BICUBIC if grows else Image.Resampling.LANCZOS)


def fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """``(width, height)`` scaled so that the longer one is ``side``."""
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def legend(
    scale: Scale, colormap: str | None = None, width: int = 256, height: int = 12
) -> Image.Image:
    """A horizontal colour bar without text, low values on the left, as an RGB picture.

    The scale's mark is drawn as a thin line. `Scale.ticks` has the text to write beside it.

    Raises:
        ValueError: a side is below 1, or no palette has this name.
    """
    bar = _cells(np.arange(256, dtype=np.uint8)[np.newaxis], _checked((width, height)))
    for position, _ in scale.ticks[1:-1]:
        # The opposite end of the palette stands out on light and on dark colours.
        bar[:, round(position * (width - 1))] = 0 if position > 0.5 else 255
    return _coloured(bar, scale, colormap).convert("RGB")


def sprite(
    maps: ArrayLike,
    columns: int,
    cell: int,
    scale: Scale,
    colormap: str | None = None,
    gap: int = 2,
) -> Image.Image:
    """Many maps on one scale in one palette picture, left to right, then down.

    Args:
        maps: `(n, rows, cols)`.
        columns: maps side by side.
        cell: pixels per side of a patch; a map is `cols * cell` wide and `rows * cell` high.
        gap: pixels between two maps, transparent in a PNG, grey where that is ignored.

    Raises:
        ValueError: `maps` is not three-dimensional, `columns` or `cell` is below 1, `gap` below 0.
    """
    positions = normalise(maps, scale)
    if positions.ndim != 3:
        raise ValueError(f"a sprite needs maps (n, rows, cols), not {positions.shape}")
    if columns < 1 or cell < 1 or gap < 0:
        raise ValueError("a sprite needs columns >= 1, cell >= 1 and gap >= 0")
    n, rows, cols = positions.shape
    lines = -(-n // columns)
    # Entry 0 is the gap; the lowest value moves to entry 1, a difference that nobody sees.
    grid = np.zeros((lines * columns, rows * cell + gap, cols * cell + gap), dtype=np.uint8)
    cells = np.maximum(entries(positions), 1)
    grid[:n, : rows * cell, : cols * cell] = cells.repeat(cell, axis=1).repeat(cell, axis=2)
    sheet = grid.reshape(lines, columns, *grid.shape[1:]).swapaxes(1, 2)
    sheet = sheet.reshape(lines * grid.shape[1], columns * grid.shape[2])
    sheet = sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]
    picture = _coloured(sheet, scale, colormap)
    picture.putpalette(_GAP + bytes(picture.getpalette() or ())[3:])
    picture.info["transparency"] = 0
    return picture


def sprite_index(
    x: int, y: int, shape: tuple[int, int, int], columns: int, cell: int, gap: int = 2
) -> int | None:
    """Which map of a sprite of `shape` (n, rows, cols) pixel (x, y) belongs to; None for a gap."""
    n, rows, cols = shape
    column, inside_x = divmod(x, cols * cell + gap)
    line, inside_y = divmod(y, rows * cell + gap)
    index = line * columns + column
    hit = inside_x < cols * cell and inside_y < rows * cell
    return index if hit and 0 <= column < columns and line >= 0 and index < n else None


def mark_patch(
    picture: Image.Image,
    grid: tuple[int, int],
    patch: tuple[int, int],
    width: int = 2,
    covers: tuple[float, float] = (1.0, 1.0),
) -> Image.Image:
    """A copy of the picture, RGB, with a frame along the inside of one patch's cell.

    The frame is white with a black line inside it, so that it stands out on any colour.

    Args:
        grid: (rows, cols) of the patch grid.
        patch: (row, col) of the patch.
        width: thickness of each of the two lines, in pixels.
        covers: as in `overlay`.

    Raises:
        ValueError: the patch is outside the grid.
    """
    if not (0 <= patch[0] < grid[0] and 0 <= patch[1] < grid[1]):
        raise ValueError(f"patch {patch} is outside the grid {grid}")
    original = picture.convert("RGB")
    marked = original.copy()
    across, down = _reach(picture.size, covers)
    top, bottom = _span(patch[0], grid[0], down)
    left, right = _span(patch[1], grid[1], across)
    bottom, right = min(bottom, picture.height), min(right, picture.width)
    for inset, fill in ((0, "white"), (width, "black"), (2 * width, original)):
        box = (left + inset, top + inset, right - inset, bottom - inset)
        if box[0] < box[2] and box[1] < box[3]:
            marked.paste(original.crop(box) if fill is original else fill, box)
    return marked


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < 1:
        raise ValueError(f"both sides of a picture must be at least 1, not {size}")
    return size


def _coloured(indices: NDArray[np.uint8], scale: Scale, colormap: str | None) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette(lookup(colormap or scale.colormap).tobytes())
    return picture


def _cells(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Each patch as a cell of equal pixels, `(h, w)`. In integers: float division misses ties."""
    (rows, cols), (width, height) = array.shape, size
    down = (2 * np.arange(height) + 1) * rows // (2 * height)
    across = (2 * np.arange(width) + 1) * cols // (2 * width)
    cells: NDArray[Any] = array[down][:, across]
    return cells


def _reach(size: tuple[int, int], covers: tuple[float, float]) -> tuple[int, int]:
    """(width, height) in pixels of what the patches cover of a picture of `size`."""
    return max(1, round(size[0] * covers[1])), max(1, round(size[1] * covers[0]))


def _span(place: int, count: int, side: int) -> tuple[int, int]:
    """The first of `side` pixels that shows cell `place` of `count`, and that of the next cell."""
    first, after = (-((count - 2 * side * p) // (2 * count)) for p in (place, place + 1))
    return first, after
