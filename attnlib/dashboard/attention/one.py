"""One layer, one head: the picture, the map, both together, and who looks back."""

from __future__ import annotations

from functools import partial

import streamlit as st
from PIL import Image

from attnlib.dashboard.attention.choose import ask_patch, asked_cells
from attnlib.dashboard.parts import downloads, pictures
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.look import Array, Look, token_name
from attnlib.dashboard.parts.pictures import fit, plain
from attnlib.dashboard.parts.style import legend_bar
from attnlib.pictures.overlay import heat_image, mark_patch

PICTURE = 228  # pixels on screen: four side by side at 1440, two at 900


def show(look: Look) -> None:
    """Original, map, overlay, and the attention back to the query, on one scale."""
    seen, back = look.map(), look.to_query()
    scale = look.scale(*([seen] if back is None else [seen, back]))
    grid = look.space.vit.layout.grid
    size = fit(look.crop.size, 2 * PICTURE)
    with pictures.beside("one"):
        with st.container(width=PICTURE, gap=None):
            cells(
                plain(look.crop, 2 * PICTURE),
                grid,
                key="attention_patch",
                alt="The image; click on a patch to see its attention",
                width=PICTURE,
                selected=asked_cells(look),
                on_pick=partial(ask_patch, look.space),
                values=seen * seen.size,
                unit="× uniform",
                cell_names=[f"patch ({r}, {c})" for r in range(grid[0]) for c in range(grid[1])],
                smooth=True,
                covers=look.covers,
            )
            st.caption("Click a patch to make it the query.")
        panel(heat_image(seen, scale, size=size), look, f"map of {look.head_name}")
        panel(
            look.draw(seen, scale, 2 * PICTURE),
            look,
            f"where {look.asker} looks",
        )
        if back is not None:
            panel(
                look.draw(back, scale, 2 * PICTURE),
                look,
                _back_title(look),
            )
    legend_bar(scale, style=look.style)
    name = f"{look.name.rsplit('/', 1)[-1]}-layer{look.layer}-{look.head}"
    with st.container(horizontal=True):
        downloads.picture(
            lambda: look.draw(seen, scale, 896),
            name,
        )
        downloads.table(lambda: _rows(seen, back), name)
    st.caption(_shares(look))


def panel(picture: Image.Image, look: Look, caption: str) -> None:
    """One picture with a frame around the query, if that is a patch."""
    for cell in asked_cells(look):
        picture = mark_patch(picture, look.space.vit.layout.grid, cell, covers=look.covers)
    pictures.show(picture, PICTURE, caption=caption, alt=caption)


def _back_title(look: Look) -> str:
    return f"who looks at {look.asker}"


def _shares(look: Look) -> str:
    """How the query's attention divides between patches and prefix tokens."""
    inside = float(look.map().sum())
    prefix = look.space.vit.layout.prefix
    others = ", ".join(token_name(name) for name in prefix)
    rest = f"; {max(0.0, 1 - inside):.1%} are on: {others}" if prefix else ""
    if look.head in ("max", "min"):
        rest = f" ({look.head} of heads, which need not add up to 100 %)"
    return (
        f"Query: **{look.query_name}**, layer {look.layer}, {look.head_name}. "
        f"{inside:.1%} of its attention is on patches{rest}."
    )


def _rows(seen: Array, back: Array | None) -> list[dict[str, object]]:
    rows = []
    for row in range(seen.shape[0]):
        for col in range(seen.shape[1]):
            entry: dict[str, object] = {"row": row, "col": col, "share": float(seen[row, col])}
            if back is not None:
                entry["share given to the query"] = float(back[row, col])
            rows.append(entry)
    return rows
