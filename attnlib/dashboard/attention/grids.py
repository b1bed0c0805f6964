"""Many heads at once: the heads of a layer over the image, and all layers × heads as one matrix."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.look import Array, Look
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.parts.tiles import WIDTH, entropies, tiles
from attnlib.pictures.overlay import sprite


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
        for i, e, p in entropies(found)
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


def _long(by_layer: dict[int, Array]) -> list[dict[str, object]]:
    return [
        {"layer": layer, "head": head, "row": row, "col": col, "share": float(value)}
        for layer, maps in by_layer.items()
        for (head, row, col), value in np.ndenumerate(maps)
    ]
