"""Many heads at once: the heads of a layer over the image, and all layers × heads as one matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.dashboard import downloads
from attnlib.dashboard.attention.look import Array, Look
from attnlib.dashboard.cells import Cell, cells
from attnlib.dashboard.pictures import fit
from attnlib.dashboard.style import legend_bar
from attnlib.overlay import overlay, sprite
from attnlib.record import row_entropy

WIDTH = 1000  # pixels on screen at most
TILE = 200


def heads_of_layer(look: Look) -> None:
    """Every head of the chosen layer over the image, on one scale; a click opens one."""
    maps = look.rows()
    st.caption(f"Layer {look.layer}: where {look.asker} looks, head by head.")
    tiles(
        look,
        maps,
        "head",
        key="attention_heads",
        on_pick=lambda head: open_one(look.layer, head),
        hint="click a head to open it",
    )
    downloads.table(lambda: _long({look.layer: maps}), f"layer{look.layer}-heads")


def tiles(
    look: Look,
    maps: Array,
    what: str,
    *,
    key: str,
    on_pick: Callable[[int], None],
    hint: str,
) -> None:
    """Maps ``(n, rows, cols)`` over the image, side by side, as one picture that can be clicked.

    Args:
        what: what each map belongs to, "head" or "layer"; they are counted from 0.
    """
    scale = look.scale(maps)
    across = min(len(maps), 6)
    down = -(-len(maps) // across)
    size = fit(look.crop.size, 2 * TILE)
    sheet = _sheet([overlay(look.crop, one, scale, size=size) for one in maps], across)
    names = [f"{what} {i}: entropy {e:.2f}, peak {p:.1f} × uniform" for i, e, p in _entropies(maps)]
    names += [""] * (across * down - len(names))
    starts = [i * across for i in range(down)]

    def picked(cell: Cell) -> None:
        index = cell[0] * across + cell[1]
        if index < len(maps):
            on_pick(index)

    cells(
        sheet,
        (down, across),
        key=key,
        alt=f"One map for each {what}",
        width=min(WIDTH, across * TILE),
        on_pick=picked,
        cell_names=names,
        top=[f"{what} {i}" for i in range(across)] if down == 1 else None,
        left=None if down == 1 else [f"{i} to {min(len(maps), i + across) - 1}" for i in starts],
        smooth=True,
    )
    legend_bar(scale, hint)
    downloads.picture(lambda: sheet, key)


def all_heads(look: Look) -> None:
    """All layers × heads as small maps in one picture; a click opens one."""
    by_layer = {layer: look.rows(layer) for layer in range(look.layers)}
    maps = np.concatenate(list(by_layer.values()))
    scale = look.scale(maps)
    cols = look.space.vit.layout.grid[1]
    width = min(WIDTH, 120 * look.heads)
    zoom = max(1, round(width / (look.heads * cols)))
    sheet = sprite(maps, look.heads, zoom, scale)
    names = [
        f"layer {layer}, head {i}: entropy {e:.2f}, peak {p:.1f} × uniform"
        for layer, found in by_layer.items()
        for i, e, p in _entropies(found)
    ]
    chosen = [(look.layer, look.head_number)] if look.head_number is not None else []
    st.caption(f"Where {look.asker} looks. Rows are layers, columns heads.")
    cells(
        sheet,
        (look.layers, look.heads),
        key="attention_all_heads",
        alt="Small maps of all layers and heads",
        width=width,
        selected=chosen,
        on_pick=lambda cell: open_one(*cell),
        cell_names=names,
        left=[str(layer) for layer in range(look.layers)],
        top=[str(head) for head in range(look.heads)],
    )
    legend_bar(scale, "click a map to open it")
    with st.container(horizontal=True):
        downloads.picture(lambda: sheet, "all-heads")
        downloads.table(lambda: _long(by_layer), "all-heads")


def open_one(layer: int, head: int) -> None:
    """Show one head large."""
    st.session_state["attention_layer"] = str(layer)
    st.session_state["attention_head"] = str(head)
    st.session_state["attention_view"] = "One head"


def _sheet(tiles: list[Image.Image], across: int) -> Image.Image:
    width, height = tiles[0].size
    down = -(-len(tiles) // across)
    sheet = Image.new("RGB", (across * width, down * height), "grey")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % across * width, i // across * height))
    return sheet


def _entropies(maps: Array) -> list[tuple[int, float, float]]:
    """Head, entropy in units of log N, largest multiple of uniform."""
    flat = maps.reshape(len(maps), -1)
    entropy = row_entropy(flat)
    return [(i, float(entropy[i]), float(flat[i].max() * flat.shape[1])) for i in range(len(maps))]


def _long(by_layer: dict[int, Array]) -> list[dict[str, object]]:
    return [
        {"layer": layer, "head": head, "row": row, "col": col, "share": float(value)}
        for layer, maps in by_layer.items()
        for (head, row, col), value in np.ndenumerate(maps)
    ]
