"""The whole token × token matrix of one head, and a name for its pattern."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.dashboard.attention.choose import ask
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.look import Look, token_name
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads import pattern
from attnlib.heads import rows as attention
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

WIDTH = 620


def show(look: Look) -> None:
    """Rows are queries, columns keys; prefix tokens stand before the line."""
    head = look.head_number
    if head is None:
        st.info("Showing head 0: a whole matrix belongs to one head. Choose one above.")
        head = 0
    found = attention.matrix(look.subject, look.layer, head)
    layout = look.space.vit.layout
    keys = [token_name(layout.token_name(i)) for i in range(layout.tokens)]
    keys = keys[len(keys) - found.shape[1] :]
    queries = keys if found.shape[0] == len(keys) else [look.query_name] * found.shape[0]
    prefix = found.shape[1] - layout.patches
    if found.shape == (layout.tokens, layout.tokens):
        seen = pattern(found, layout)
        st.markdown(
            f"Layer {look.layer}, head {head}: **{seen.name}**. {seen.explanation.capitalize()} "
            f"(threshold {seen.threshold:g})."
        )
        st.caption(
            f"Largest share received by one token: {seen.numbers['broadcast']:.2f} "
            f"({token_name(str(seen.numbers['token']))}). Largest share at one offset: "
            f"{seen.numbers['diagonal']:.2f}, at (down, right) = {seen.numbers['offset']}. "
            f"Attention distance over that of uniform attention: {seen.numbers['distance']:.2f}."
        )
    square = found.shape[0] == layout.tokens
    scale = look.scale(found, keys=found.shape[1])
    _matrix(found, scale, queries, keys, f"layer{look.layer}-head{head}", prefix, square)


def windows(space: Workspace, name: str) -> None:
    """For a model that attends within windows: the matrix of one head in one of them."""
    places = space.vit.support.calls("local")
    if not places:
        return
    st.caption("What is well defined here: the attention inside one window.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = controls.choice(
            "window_layer",
            "Layer",
            range(len(places)),
            width=90,
            help="Counted from 0 among the layers that attend within windows.",
        )
        image = results.decoded(space.choice, space.vit, space.by_name[name])
        found = results.numbers(
            space.choice,
            space.by_name[name],
            ("windows", layer),
            lambda: space.vit.attention(image, layer),
        )
        window = controls.choice(
            "window",
            "Window",
            range(found.shape[0]),
            width=110,
            help="Which window, in the model's own order.",
        )
        head = controls.choice(
            "window_head", "Head", range(found.shape[1]), width=90, help="Which head."
        )
    shown = found[window, head]
    names = [f"token {i}" for i in range(max(shown.shape))]
    queries, keys = names[: shown.shape[0]], names[: shown.shape[1]]
    scale = Scale.times_uniform(shown, shown.shape[1])
    _matrix(shown, scale, queries, keys, f"window{window}", 0, False)


def _matrix(
    found: NDArray[np.float32],
    scale: Scale,
    queries: list[str],
    keys: list[str],
    name: str,
    prefix: int,
    clickable: bool,
) -> None:
    size = (found.shape[1], found.shape[0])
    cells(
        heat_image(found, scale, size=size),
        found.shape,
        key="attention_matrix",
        alt="Attention of every token to every token",
        width=WIDTH,
        on_pick=(lambda cell: ask(cell[0])) if clickable else None,
        values=found * found.shape[1],
        unit="× uniform",
        row_names=[f"{query} →" for query in queries],
        col_names=keys,
        lines=([prefix], [prefix]) if prefix and clickable else ([], [prefix] if prefix else []),
        zoom=True,
    )
    legend_bar(
        scale,
        "rows are queries, columns keys; the wheel zooms, dragging moves"
        + ("; a click makes the row's token the query" if clickable else ""),
    )
    with st.container(horizontal=True):
        factor = max(1, 1024 // max(found.shape))
        downloads.picture(
            lambda: heat_image(found, scale, size=(size[0] * factor, size[1] * factor)), name
        )
        downloads.matrix(found, queries, keys, name)
