"""Choosing an image by its picture, in the sidebar of every page."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import board, drawn
from attnlib.dashboard.parts.board import Card, Figure, Pictures
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import bases, opened, order, verdict

SHOWN, SIDE = 24, 84


def show(space: Workspace) -> None:
    """The chosen image small, and those around it in the gallery's order behind a button."""
    name = st.session_state.get(opened.IMAGE)
    with st.sidebar:
        if isinstance(name, str) and name in space.prediction_of:
            _board(space, [name], "picked")
        with st.popover(
            "Choose by picture",
            icon=":material/grid_view:",
            width="stretch",
            key="picking",
            on_change="rerun",
            help="The gallery's images, as it is filtered and sorted now.",
        ) as place:
            if place.open:
                names = order.current(space).names
                at = names.index(name) if name in names else 0
                first = max(0, min(at - SHOWN // 2, len(names) - SHOWN))
                _board(space, names[first : first + SHOWN], "picking_board")
                if len(names) > SHOWN:
                    st.caption(f"{first + 1} to {first + SHOWN} of {len(names)}")


def _board(space: Workspace, names: list[str], key: str) -> None:
    cards, pictures = [], Pictures()
    for name in names:
        prediction = space.prediction_of[name]
        bases.put(space, pictures, name, 2 * SIDE)
        cards.append(
            Card(
                name,
                [Figure(name, name)],
                word=verdict.word(space, prediction),
                outcome=prediction.outcome,
                said=verdict.said(space, prediction),
            )
        )
    board.show(
        cards,
        pictures,
        key=key,
        density="grid",
        style=drawn.style(),
        side=SIDE,
        on_open=opened.open_image,
    )
