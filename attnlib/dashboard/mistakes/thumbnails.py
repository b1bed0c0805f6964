"""Small pictures of many images, a sheet at a time."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from attnlib.dashboard.parts.pictures import fit
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.pictures.sheet import sheet

TILE = 48  # pixels


def drawn(space: Workspace, names: Sequence[str], across: int) -> Image.Image:
    """What the model saw of these images, in rows of ``across`` tiles, the last one grey.

    Args:
        names: at least one, at most ``across**2``.
    """
    tiles = [_tile(space, name) for name in names]
    blank = Image.new("RGB", (TILE, TILE), "grey")
    return sheet(tiles + [blank] * (across**2 - len(tiles)), across)


def _tile(space: Workspace, name: str) -> Image.Image:
    """The crop in the middle of a square; grey where the image cannot be read any more."""
    tile = Image.new("RGB", (TILE, TILE), "grey")
    sample = space.by_name[name]
    kept = results.store().inspected.get((space.choice, sample.sha256))
    try:
        # An image whose result was dropped is decoded again, and not passed through the model.
        crop = (
            kept.picture
            if kept is not None
            else space.vit.crop(results.decoded(space.choice, space.vit, sample))
        )
    except AttnlibError:
        return tile
    small = crop.convert("RGB").resize(fit(crop.size, TILE))
    tile.paste(small, ((TILE - small.width) // 2, (TILE - small.height) // 2))
    return tile
