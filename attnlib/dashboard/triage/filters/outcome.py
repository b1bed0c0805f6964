"""By outcome: wrong, right, without a label."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask

SHOWN: dict[str, str] = {
    "Wrong": "wrong",
    "Right": "right",
    "No label": "unlabelled",
    "All": "all",
}


class ByOutcome:
    """One outcome, or all."""

    key = "gallery_only"

    def value(self, space: Workspace) -> str:
        labelled = _labelled(space)
        return address.value(
            self.key, _default(labelled), OneOf(list(SHOWN)), label="Show", of=labelled
        )

    def draw(self, space: Workspace) -> None:
        labelled = _labelled(space)
        controls.segments(
            self.key,
            "Show",
            list(SHOWN),
            default=_default(labelled),
            of=labelled,
            label_visibility="collapsed",
            help="Which predictions the gallery shows.",
        )

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        if value == "All":
            return None
        return (space.table["outcome"] == SHOWN[value]).to_numpy()

    def words(self, space: Workspace, value: str) -> str:
        return ""  # Its control is always in view.

    def clear(self) -> None:
        st.session_state[self.key] = "All"


def _labelled(space: Workspace) -> bool:
    return any(p.true is not None for p in space.predictions)


def _default(labelled: bool) -> str:
    return "Wrong" if labelled else "All"
