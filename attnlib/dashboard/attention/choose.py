"""The controls for layer, head and query, and what a click on the image asks."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import address, controls, drawn
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.parts.look import CLIPS, Look, token_name
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads import rows as attention
from attnlib.methods.base import FUSIONS

# What the list of queries calls the readout: to Streamlit, None is that nothing is chosen.
READOUT = -1


def choose(space: Workspace, prediction: Prediction) -> Look:
    """The controls for layer, head and query, and what was chosen with them."""
    layers, heads = attention.layer_shape(space.vit)
    numbers = [str(layer) for layer in range(layers)]
    names = [*FUSIONS, *map(str, range(heads))]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = controls.choice(
            "attention_layer",
            "Layer",
            numbers[::-1],
            width=90,
            help="Counted from 0, the first layer after the patch embedding.",
        )
        head = controls.choice(
            "attention_head",
            "Head",
            names,
            width=110,
            help="One head, or the mean, maximum or minimum over the heads of the layer.",
        )
        query = _query(space)
        clip = controls.segments(
            "attention_clip",
            "Scale up to",
            list(CLIPS),
            default="99 %",
            help="The largest value, or the value below which 99 % or 95 % of those shown lie.",
        )
    return Look(
        space, prediction, layers, heads, int(layer), head, query, CLIPS[clip], drawn.style()
    )


def _query(space: Workspace) -> int | None:
    """The readout, a prefix token or a patch; patches are chosen by clicking on the image."""
    layout = space.vit.layout
    if "rollout" not in space.vit.support.maps:
        return None
    prefix = len(layout.prefix)
    # Any token may be asked for; the list would be long with all patches in it.
    known: list[int | None] = [None, *range(layout.tokens)]
    query = address.value("attention_query", None, OneOf(known, code=_code), label="Query")
    options = [READOUT, *range(1 if layout.readout == "cls" else 0, prefix)]
    shown = READOUT if query is None else query
    if shown not in options:
        options.append(shown)

    def title(token: int) -> str:
        return layout.query if token == READOUT else token_name(layout.token_name(token))

    # Beside the query itself: its options change with the query, which the list only follows.
    st.session_state["attention_asks"] = shown
    st.selectbox(
        "Query",
        options,
        format_func=title,
        key="attention_asks",
        on_change=_asked,
        width=230,
        help="The token whose attention is shown. Click on the image to ask a patch.",
    )
    return query


def _asked() -> None:
    token = st.session_state["attention_asks"]
    ask(None if token == READOUT else token)


def _code(token: int | None) -> str:
    return "readout" if token is None else str(token)


def ask(token: int | None) -> None:
    """Make a token the query."""
    st.session_state["attention_query"] = token


def ask_patch(space: Workspace, cell: tuple[int, int]) -> None:
    """Make a patch the query; the same patch again goes back to the readout."""
    layout = space.vit.layout
    token = layout.tokens - layout.patches + cell[0] * layout.grid[1] + cell[1]
    ask(None if st.session_state.get("attention_query") == token else token)


def asked_cells(look: Look) -> list[tuple[int, int]]:
    """The cell of the query on the patch grid, if it is a patch."""
    layout = look.space.vit.layout
    first = layout.tokens - layout.patches
    if look.query is None or look.query < first:
        return []
    return [divmod(look.query - first, layout.grid[1])]
