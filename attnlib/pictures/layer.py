"""A map as a layer of colour over a picture that keeps its own: what lies over what, exactly.

The same layer is blended here, for files, and by the browser, for the screen: its pixels are
colours with an opacity (straight alpha), and under it lies the picture with little colour of its
own.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from attnlib.pictures.colormaps import Scale, entries, lookup, normalise
from attnlib.pictures.sizes import Interpolation, as_cells, checked, keep_top, resize

Mode = Literal["overlay", "outline", "map", "off"]

# Of the largest value: some of the picture shows through it.
OPACITY = 0.85
# What is left of the colours of a picture under a map; the browser's filter has the same.
SATURATION = 0.1
# The share of patches that are outlined unless another is asked for.
OUTLINED = 0.1
# Brightness of the patches that are not kept.
_DIMMED = 0.4


def muted(picture: Image.Image, saturation: float = SATURATION) -> Image.Image:
    """The picture with less colour: 1 leaves it as it is, 0 makes it grey.

    The matrix is that of `saturate()` in CSS (W3C, Filter Effects Module Level 1, feColorMatrix),
    so that a browser draws the same.
    """
    light = (0.213, 0.715, 0.072)
    matrix: list[float] = []
    for row in range(3):
        own = [saturation * (row == column) for column in range(3)]
        matrix += [(1 - saturation) * light[c] + own[c] for c in range(3)] + [0.0]
    return picture.convert("RGB").convert("RGB", tuple(matrix))


def layer(
    values: ArrayLike,
    scale: Scale,
    colormap: str | None = None,
    opacity: float = OPACITY,
    *,
    fade: bool = True,
    alone: bool = False,
    keep: float | None = None,
    size: tuple[int, int] | None = None,
    interpolation: Interpolation = "nearest",
) -> Image.Image:
    """The map as an RGBA picture to lay over another.

    Args:
        values: `(rows, cols)`.
        colormap: None takes the palette that suits the scale.
        opacity: of the largest value, 0 to 1. With `fade` a value at the fraction t of its scale
            has t times it, so that 0 leaves the picture untouched; of a signed map t is the size.
            Without, all have it.
        alone: whether nothing of the picture shows through, whatever ``opacity`` and ``fade`` say.
        keep: the fraction of patches, largest first, that carry colour; the others are dimmed.
        size: (width, height); None is one pixel for each patch.

    Raises:
        ValueError: a value is not finite, or as `keep_top`, `lookup` and `resize`.
    """
    positions = normalise(values, scale)
    rows, cols = positions.shape
    size = checked(size or (cols, rows))
    kept = None if keep is None else keep_top(values, keep)
    cells = interpolation == "nearest"
    if not cells:
        positions = resize(positions, size, interpolation)
        kept = None if kept is None else as_cells(kept, size)
    strength = np.abs(2 * positions - 1) if scale.signed else positions
    alpha = opacity * strength if fade else np.full_like(strength, opacity)
    if alone:
        alpha = np.ones_like(strength)
    pixels = np.empty((*positions.shape, 4), np.uint8)
    pixels[..., :3] = lookup(colormap or scale.colormap)[entries(positions)]
    pixels[..., 3] = np.rint(255 * alpha)
    if kept is not None:
        pixels[~kept] = (0, 0, 0, round(255 * (1 - _DIMMED)))
    # Cells are coloured first and enlarged then: of 900 x 900 pixels that is a tenth of the work.
    return Image.fromarray(as_cells(pixels, size) if cells else pixels)


def outline(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """The edges between patches that are in the mask ``(rows, cols)`` and those that are not.

    Returns:
        Edges (row, column, row, column), each between two corners of the grid, one patch long;
        beyond the grid nothing is in the mask.
    """
    padded = np.pad(mask, 1)
    across = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    down = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    found = [(int(r), int(c), int(r), int(c) + 1) for r, c in across]
    return found + [(int(r), int(c), int(r) + 1, int(c)) for r, c in down]
