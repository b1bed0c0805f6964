"""By whether anybody has judged an image; and the queue of those that nobody has."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask

ANY, UNJUDGED, JUDGED = "Any", "Not judged", "Judged"
OPTIONS = [ANY, UNJUDGED, JUDGED]


class ByJudged:
    """Whether an image has a tag, a note or a corrected label."""

    key = "gallery_judged"

    def value(self, space: Workspace) -> str:
        return address.value(self.key, ANY, OneOf(OPTIONS), label="Judged")

    def draw(self, space: Workspace) -> None:
        controls.segments(
            self.key,
            "Judged",
            OPTIONS,
            help="Judged is what has a tag, a note, a corrected label or a right class.",
        )

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        if value == ANY:
            return None
        wanted = value == JUDGED
        return np.array(
            [judged(space, name) == wanted for name in space.table["image"]], dtype=bool
        )

    def words(self, space: Workspace, value: str) -> str:
        return "" if value == ANY else value.lower()

    def clear(self) -> None:
        st.session_state[self.key] = ANY


def judged(space: Workspace, name: str) -> bool:
    """Whether anything was said of an image."""
    return bool(space.remark(name)) or name in space.session.manual


def queue() -> None:
    """Have the gallery show the unjudged mistakes, the most confident first."""
    st.session_state["gallery_only"] = "Wrong"
    st.session_state[ByJudged.key] = UNJUDGED
    st.session_state["gallery_sort"] = "Confidence"
    st.session_state["gallery_up"] = False
