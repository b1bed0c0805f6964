"""Where the walk is: the layer, head and query chosen on the page, and the numbers there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from attnlib.audit import Prediction
from attnlib.capture.record import row_entropy
from attnlib.dashboard.parts import address, controls, drawn
from attnlib.dashboard.parts.cells import Cell, cells
from attnlib.dashboard.parts.codecs import Number
from attnlib.dashboard.parts.look import Look, token_name
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads import rows as attention
from attnlib.lessons.walkthrough import Array, Walk

PICTURE = 228


@dataclass(frozen=True)
class Place:
    """One layer, head and query of one image.

    Attributes:
        walk: every intermediate result of the layer for the query.
        head: the chosen head, counted from 0.
    """

    space: Workspace
    prediction: Prediction
    walk: Walk
    head: int

    @property
    def token(self) -> str:
        """The query in words."""
        return token_name(self.space.vit.layout.token_name(self.walk.query))

    @property
    def tokens(self) -> list[str]:
        """All tokens in words, in sequence order."""
        layout = self.space.vit.layout
        return [token_name(layout.token_name(i)) for i in range(layout.tokens)]

    @property
    def look(self) -> Look:
        """The same place as the page “CLS attention” has it."""
        layers, heads = attention.layer_shape(self.space.vit)
        return Look(
            self.space,
            self.prediction,
            layers,
            heads,
            self.walk.layer,
            str(self.head),
            self.walk.query,
            0.99,
            drawn.style(),
        )


def choose(space: Workspace, prediction: Prediction) -> Place:
    """The image to click on, and the controls for layer, head and query.

    Raises:
        CaptureError: this model's attention cannot be followed.
    """
    layout = space.vit.layout
    # Where there is none, following the first one says why.
    layers, heads = (max(1, count) for count in attention.layer_shape(space.vit))
    query = _query(space)
    first = layout.tokens - layout.patches
    with st.container(width=PICTURE, gap="small"):
        crop = space.inspected(prediction.name).picture
        cells(
            plain(crop, 2 * PICTURE),
            layout.grid,
            key="walk_patch",
            alt="The image; click on a patch to follow it",
            width=PICTURE,
            selected=[divmod(query - first, layout.grid[1])] if query >= first else [],
            on_pick=partial(_ask_patch, space),
            cell_names=[token_name(layout.token_name(i)) for i in range(first, layout.tokens)],
            smooth=True,
            covers=space.vit.covers,
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            layer = controls.choice(
                "walk_layer",
                "Layer",
                [str(i) for i in range(layers)][::-1],
                width=100,
                help="Counted from 0, the first layer after the patch embedding.",
            )
            head = controls.choice(
                "walk_head",
                "Head",
                [str(i) for i in range(heads)],
                width=100,
                help="The head whose computation is followed.",
            )
        if first:
            options = [*range(first), *([query] if query >= first else [])]
            st.session_state["walk_asks"] = query
            st.selectbox(
                "Query",
                options,
                format_func=lambda i: token_name(layout.token_name(i)),
                key="walk_asks",
                on_change=lambda: _ask(st.session_state["walk_asks"]),
                help="The token that asks. Click on the image to follow a patch.",
            )
        else:
            st.caption(f"Query: {token_name(layout.token_name(query))}. Click on another patch.")
    sample = space.by_name[prediction.name]
    found = results.followed(space.choice, space.vit, sample, int(layer)).walk(query)
    return Place(space, prediction, found, int(head))


def _query(space: Workspace) -> int:
    """The chosen token; at first the CLS token, or the patch in the middle."""
    layout = space.vit.layout
    first = layout.tokens - layout.patches
    middle = first + (layout.grid[0] // 2) * layout.grid[1] + layout.grid[1] // 2
    every = Number(0, layout.tokens - 1)
    found: int = address.value("walk_query", 0 if first else middle, every, label="Query")
    return found


def _ask_patch(space: Workspace, cell: Cell) -> None:
    layout = space.vit.layout
    _ask(layout.tokens - layout.patches + cell[0] * layout.grid[1] + cell[1])


def _ask(token: int) -> None:
    st.session_state["walk_query"] = token


def entropy(weights: Array) -> float:
    """Of one row of weights, in units of log T."""
    return float(row_entropy(weights))
