"""Several pictures of one size as one."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def sheet(tiles: Sequence[Image.Image], across: int) -> Image.Image:
    """Pictures in rows of ``across``, in reading order; places that are left over stay grey.

    Args:
        tiles: at least one, all of the size of the first.
    """
    width, height = tiles[0].size
    down = -(-len(tiles) // across)
    page = Image.new("RGB", (across * width, down * height), "grey")
    for i, tile in enumerate(tiles):
        page.paste(tile, (i % across * width, i // across * height))
    return page
