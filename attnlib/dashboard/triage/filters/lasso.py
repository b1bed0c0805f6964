"""By the line that was drawn around images on their map."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import lassoed
from attnlib.dashboard.triage.filters.base import Mask


class ByLasso:
    """The images inside the line; all where it can no longer be followed, which the map says."""

    key = lassoed.KEY

    def value(self, space: Workspace) -> str:
        lassoed.current()
        found: str = st.session_state.get(self.key, "")
        return found

    def draw(self, space: Workspace) -> None:
        """Drawn on the map."""

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        inside = lassoed.judged(space)[0]
        return None if inside is None else space.table["image"].isin(inside).to_numpy(dtype=bool)

    def words(self, space: Workspace, value: str) -> str:
        inside = lassoed.judged(space)[0]
        return "" if inside is None else f"{len(inside)} encircled on the map"

    def clear(self) -> None:
        st.session_state[self.key] = ""
