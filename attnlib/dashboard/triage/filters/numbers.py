"""By number: how sure the model was, and by how little it was wrong."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import Number, YesNo
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask

# The predicted class is ahead of the true one by less than this share.
NARROW = 0.2


class ByConfidence:
    """A confidence of at least so many per cent, or at most."""

    def __init__(self, side: str) -> None:
        self.key = f"gallery_confidence_{side}"
        self._least = side == "from"
        self._open = 0 if self._least else 100

    def value(self, space: Workspace) -> int:
        found: int = address.value(self.key, self._open, Number(0, 100), label=self._title)
        return found

    def draw(self, space: Workspace) -> None:
        if space.vit.outputs.classifies:
            controls.slider(
                self.key,
                self._title,
                0,
                100,
                self._open,
                help="By the probability of the predicted class.",
            )

    def keeps(self, space: Workspace, value: int) -> Mask | None:
        if value == self._open:
            return None
        shares = space.table["confidence"].to_numpy()
        return shares >= value / 100 if self._least else shares <= value / 100

    def words(self, space: Workspace, value: int) -> str:
        sign = "≥" if self._least else "≤"
        return "" if value == self._open else f"confidence {sign} {value} %"

    def clear(self) -> None:
        st.session_state[self.key] = self._open

    @property
    def _title(self) -> str:
        return f"Confidence at {'least' if self._least else 'most'}, %"


class ByNarrowMiss:
    """Wrong, with the predicted class only a little ahead of the true one."""

    key = "gallery_narrow"

    def value(self, space: Workspace) -> bool:
        return address.value(self.key, False, YesNo(), label="Wrong by a small margin")

    def draw(self, space: Workspace) -> None:
        if space.vit.outputs.classifies:
            controls.toggle(
                self.key,
                "Wrong by a small margin",
                help=(
                    f"The predicted class is ahead of the true one by less than {NARROW:.0%} of "
                    "probability: a little would have made it right."
                ),
            )

    def keeps(self, space: Workspace, value: bool) -> Mask | None:
        if not value:
            return None
        with np.errstate(invalid="ignore"):
            near = space.table["lead"].to_numpy() < NARROW
        return near & (space.table["outcome"] == "wrong").to_numpy()

    def words(self, space: Workspace, value: bool) -> str:
        return "wrong by a small margin" if value else ""

    def clear(self) -> None:
        st.session_state[self.key] = False
