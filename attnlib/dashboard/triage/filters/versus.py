"""By what a second model made of an image: fixed, broken, still wrong, still right."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.state import beside
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask


class ByVersus:
    """One category of the comparison with the model that was set beside this one last."""

    key = "gallery_versus"

    def value(self, space: Workspace) -> audit.Category | None:
        known = controls.or_none(audit.CATEGORIES, str.capitalize)
        return address.value(self.key, None, known, label="Second model")

    def draw(self, space: Workspace) -> None:
        if not space.session.beside:
            return
        controls.maybe(
            self.key,
            "Second model",
            audit.CATEGORIES,
            title=str.capitalize,
            placeholder="any",
            help=(
                "What the second model on “Model comparison” makes of an image: repaired, broken, "
                "or neither."
            ),
        )

    def keeps(self, space: Workspace, value: audit.Category | None) -> Mask | None:
        if value is None:
            return None
        found = beside.categories(space)
        return np.array([found.get(name) == value for name in space.table["image"]], dtype=bool)

    def words(self, space: Workspace, value: audit.Category | None) -> str:
        if value is None:
            return ""
        title = beside.title(space)
        return f"{value} with {title}" if title else f"{value} (no second model is chosen)"

    def clear(self) -> None:
        st.session_state[self.key] = None
