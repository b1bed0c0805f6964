"""The page as a whole: one fragment with the controls and the chosen part."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.dashboard.cost import alternatives, fields, inputs, measured, pins, sweeps, table
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.parts import address, views
from attnlib.dashboard.state.workspace import Workspace

Part = Callable[[Workspace, Resolved], None]


def _priced(show: Part) -> Part:
    """A part about the cost: it has nothing to say of a configuration that is impossible."""

    def part(space: Workspace, found: Resolved) -> None:
        if found.cost is None:
            st.info("The numbers come back as soon as the controls above fit together.")
        else:
            show(space, found)

    return part


PARTS: dict[str, Part] = {
    "Cost": _priced(table.show),
    "Sweeps": _priced(sweeps.show),
    "Measured": _priced(measured.show),
    "Alternatives": _priced(alternatives.show),
    "Side by side": pins.show,
    "Receptive field": fields.show,
}


@address.fragment
def show(space: Workspace) -> None:
    """A change reruns this part of the page only."""
    with st.container(border=True, gap="small"):
        found = inputs.choose(space)
        pins.buttons(space, found)
    part = views.choose(
        "cost_part",
        PARTS,
        label="Part",
        collapsed=False,
        help="What is shown about this configuration.",
    )
    part(space, found)
