"""The heat map of all pairs of heads; names are part of the picture, so that they zoom with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from attnlib.dashboard.parts import cells
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

# With more heads names could not be read, and the picture would weigh megabytes.
NAMED = 160
CELL = 64  # largest side of a cell on screen, in pixels
_GREY = (128, 128, 128, 255)  # legible on light and on dark


def show(
    values: NDArray[np.float64],
    titles: Sequence[str],
    scale: Scale,
    *,
    width: int,
    selected: Sequence[cells.Cell],
    on_pick: Callable[[cells.Cell], None],
    lines: Sequence[int] = (),
) -> Image.Image:
    """Show ``values`` ``(M, M)`` of the heads ``titles``; returns the picture.

    Args:
        lines: heads before which a line is drawn, both ways.
    """
    size = len(titles)
    picture, margin = draw(values, titles, scale, width)

    def picked(cell: cells.Cell) -> None:
        if cell[1] >= margin:
            on_pick((cell[0], cell[1] - margin))

    cells.cells(
        picture,
        (size, size + margin),
        key=f"heads_similarity_{size}",
        alt="Similarity of every head to every other",
        width=min(width, CELL * (size + margin)),
        selected=[(row, col + margin) for row, col in selected],
        on_pick=picked,
        values=np.pad(values, ((0, 0), (margin, 0)), constant_values=np.nan),
        row_names=titles,
        col_names=["its row"] * margin + list(titles),
        lines=(lines, [line + margin for line in lines]),
        zoom=size > 12,
        smooth=margin > 0,
    )
    return picture


def draw(
    values: NDArray[np.float64], titles: Sequence[str], scale: Scale, width: int
) -> tuple[Image.Image, int]:
    """The picture, and how many columns at its left belong to the names."""
    size = len(titles)
    if size > NAMED:
        return heat_image(values, scale, None, (size, size)), 0
    # Twice the pixels on screen, so that names are sharp on fine displays and when zoomed.
    cell = max(14, min(2 * CELL, 2 * width // size))
    font = ImageFont.load_default(min(24.0, 0.65 * cell))
    margin = math.ceil((max(font.getlength(title) for title in titles) + 8) / cell)
    picture = Image.new("RGBA", ((size + margin) * cell, size * cell))
    heat = heat_image(values, scale, None, (size * cell, size * cell))
    picture.paste(heat.convert("RGBA"), (margin * cell, 0))
    pen = ImageDraw.Draw(picture)
    for i, title in enumerate(titles):
        pen.text((margin * cell - 6, (i + 0.5) * cell), title, _GREY, font, anchor="rm")
    return picture, margin
