"""The page as a whole: one fragment with the controls and the chosen part."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.dashboard.cost import alternatives, fields, inputs, measured, pins, sweeps, table
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError

PARTS: dict[str, Callable[[Workspace, Resolved], None]] = {
    "Cost": table.show,
    "Sweeps": sweeps.show,
    "Measured": measured.show,
    "Alternatives": alternatives.show,
    "Side by side": pins.show,
    "Receptive field": fields.show,
}
# These have something to say without a configuration that is possible.
ALWAYS = ("Side by side", "Receptive field")


@st.fragment
def show(space: Workspace) -> None:
    """A change reruns this part of the page only."""
    with st.container(border=True, gap="small"):
        found = inputs.choose(space)
        pins.buttons(space, found)
    part = (
        st.segmented_control(
            "Part",
            list(PARTS),
            default="Cost",
            required=True,
            key="cost_part",
            bind="query-params",
            help="What is shown about this configuration.",
        )
        or "Cost"
    )
    if found.cost is None and part not in ALWAYS:
        st.info("The numbers come back as soon as the controls above fit together.")
        return
    try:
        PARTS[part](space, found)
    except AttnlibError as error:
        st.warning(literal(str(error)))
