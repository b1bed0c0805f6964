"""Numbers to pictures: heat maps, overlays, sprites and legends.

A heat map is `values: (rows, cols)`, one number per patch, row 0 at the top. What its numbers
mean is said by a `Scale`, what they look like by a palette, both from `attnlib.pictures.colormaps`.
Sizes are as in `attnlib.pictures.sizes`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from attnlib.pictures.colormaps import Scale as Scale
from attnlib.pictures.colormaps import entries, lookup
from attnlib.pictures.colormaps import normalise as normalise
from attnlib.pictures.encoding import data_uri as data_uri
from attnlib.pictures.encoding import jpeg_bytes as jpeg_bytes
from attnlib.pictures.encoding import png_bytes as png_bytes
from attnlib.pictures.layer import OPACITY, OUTLINED, Mode, layer, muted, outline
from attnlib.pictures.sizes import Interpolation as Interpolation
from attnlib.pictures.sizes import as_cells, checked, reach, span
from attnlib.pictures.sizes import enlarge as enlarge
from attnlib.pictures.sizes import fit as fit
from attnlib.pictures.sizes import keep_top as keep_top
from attnlib.pictures.sizes import resize as resize

_GAP = bytes((128, 128, 128))
# What a legend of a map that lets the picture through is drawn over.
_UNDER = (150, 150, 150)


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
        return _coloured(as_cells(entries(positions), checked(size)), scale, colormap)
    return _coloured(entries(resize(positions, size, interpolation)), scale, colormap)


def overlay(
    picture: Image.Image,
    values: ArrayLike,
    scale: Scale,
    colormap: str | None = None,
    opacity: float = OPACITY,
    interpolation: Interpolation = "nearest",
    keep: float | None = None,
    size: tuple[int, int] | None = None,
    covers: tuple[float, float] = (1.0, 1.0),
    *,
    fade: bool = True,
    mode: Mode = "overlay",
) -> Image.Image:
    """A map drawn over the crop that the model saw, as an RGB picture.

    Under the colours the picture is nearly grey, so that no colour of its own is taken for one of
    the map's, and where the map is 0 nothing lies over it.

    Args:
        picture: the crop, any size; enlarged or reduced to `size` where that is given.
        values: `(rows, cols)`.
        colormap: None takes the palette that suits the scale.
        opacity: 0 shows the picture alone; see `attnlib.pictures.layer.layer`.
        keep: the fraction of patches, largest first, that carry colour or are outlined. The
            others show the plain picture, dimmed under colours. None colours all.
        size: (width, height) of the result; None keeps the picture's.
        covers: how far the patches reach, in shares of the picture's height and width: below 1
            where pixels at the bottom and right are in none, above 1 where they reach beyond.
        fade: whether the opacity grows with the value from 0, or is the same everywhere.
        mode: colours over the picture; only an outline of its strongest patches (a tenth, unless
            `keep` says otherwise); the map alone; or the picture alone.

    Raises:
        ValueError: `opacity` is outside [0, 1], or as `heat_image` and `keep_top`.
    """
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must be in [0, 1], not {opacity}")
    size = size or picture.size
    base = enlarge(picture.convert("RGB"), size)
    if mode == "off" or (opacity == 0 and mode == "overlay"):
        return base
    area = reach(size, covers)
    if mode == "outline":
        return _outlined(base, outline(keep_top(values, keep or OUTLINED)), np.shape(values), area)
    colours = layer(
        values,
        scale,
        colormap,
        opacity,
        fade=fade,
        alone=mode == "map",
        keep=keep,
        size=area,
        interpolation=interpolation,
    )
    base = muted(base)
    base.paste(colours.convert("RGB"), mask=colours.getchannel("A"))
    return base


def legend(
    scale: Scale,
    colormap: str | None = None,
    width: int = 256,
    height: int = 12,
    opacity: float | None = None,
    fade: bool = True,
) -> Image.Image:
    """A horizontal colour bar without text, low values on the left, as an RGB picture.

    The scale's mark is drawn as a thin line. `Scale.ticks` has the text to write beside it.

    Args:
        opacity, fade: as of the overlays it belongs to, shown over a grey; None for maps that
            are drawn alone.

    Raises:
        ValueError: a side is below 1, or no palette has this name.
    """
    bar = as_cells(np.arange(256, dtype=np.uint8)[np.newaxis], checked((width, height)))
    if opacity is None:
        picture = _coloured(bar, scale, colormap).convert("RGB")
    else:
        readings = scale.low + bar.astype(np.float64) / 255 * (scale.high - scale.low)
        over = layer(readings / scale.factor, scale, colormap, opacity, fade=fade)
        picture = Image.new("RGB", over.size, _UNDER)
        picture.paste(over.convert("RGB"), mask=over.getchannel("A"))
    for position, _ in scale.ticks[1:-1]:
        # The opposite end of the palette stands out on light and on dark colours.
        x = round(position * (width - 1))
        end = lookup(colormap or scale.colormap)[0 if position > 0.5 else 255]
        picture.paste(tuple(end.tolist()), (x, 0, x + 1, height))
    return picture


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
    across, down = reach(picture.size, covers)
    top, bottom = span(patch[0], grid[0], down)
    left, right = span(patch[1], grid[1], across)
    bottom, right = min(bottom, picture.height), min(right, picture.width)
    for inset, fill in ((0, "white"), (width, "black"), (2 * width, original)):
        box = (left + inset, top + inset, right - inset, bottom - inset)
        if box[0] < box[2] and box[1] < box[3]:
            marked.paste(original.crop(box) if fill is original else fill, box)
    return marked


def _outlined(
    base: Image.Image,
    edges: list[tuple[int, int, int, int]],
    shape: tuple[int, ...],
    area: tuple[int, int],
) -> Image.Image:
    """Edges between patches in white on black, which stands out on any colour."""
    pen = ImageDraw.Draw(base)
    down, across = area[1] / shape[0], area[0] / shape[1]
    for width, colour in ((5, "black"), (2, "white")):
        for r0, c0, r1, c1 in edges:
            ends = (c0 * across, r0 * down, c1 * across, r1 * down)
            pen.line([min(e, base.size[i % 2] - 1) for i, e in enumerate(ends)], colour, width)
    return base


def _coloured(indices: NDArray[np.uint8], scale: Scale, colormap: str | None) -> Image.Image:
    picture = Image.fromarray(indices)
    picture.putpalette(lookup(colormap or scale.colormap).tobytes())
    return picture
