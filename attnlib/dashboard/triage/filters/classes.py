"""By class: the true ones, the predicted ones, and one cell of the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf, SomeOf
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask

NO_CELL = ""


@dataclass(frozen=True)
class ByClass:
    """Any of some classes, on one side of a prediction."""

    side: Literal["true", "predicted"]

    @property
    def key(self) -> str:
        return f"gallery_{self.side}"

    def value(self, space: Workspace) -> list[int]:
        return address.value(
            self.key,
            list[int](),
            SomeOf(OneOf(self._present(space), space.class_name)),
            label=self._title,
        )

    def draw(self, space: Workspace) -> None:
        words = "of these classes" if self.side == "true" else "that the model takes for these"
        controls.several(
            self.key,
            self._title,
            self._present(space),
            title=space.class_name,
            placeholder="any",
            help=f"Only images {words}.",
        )

    def keeps(self, space: Workspace, value: list[int]) -> Mask | None:
        return audit.of_classes(space.table, self.side, value) if value else None

    def words(self, space: Workspace, value: list[int]) -> str:
        names = " or ".join(space.class_name(index) for index in value)
        return f"{self.side} {names}" if value else ""

    def clear(self) -> None:
        st.session_state[self.key] = []

    @property
    def _title(self) -> str:
        return f"{self.side.capitalize()} class"

    def _present(self, space: Workspace) -> list[int]:
        sides = [p.true or () if self.side == "true" else p.said for p in space.predictions]
        return sorted(set[int]().union(*sides))


class ByCell:
    """One cell of the confusion matrix, ``true-predicted`` by index; see `put`."""

    key = "gallery_cell"

    def value(self, space: Workspace) -> str:
        pairs = sorted(
            {f"{p.label}-{p.predicted}" for p in space.predictions if p.label is not None}
        )
        return address.value(self.key, NO_CELL, OneOf([NO_CELL, *pairs]), label="Cell")

    def draw(self, space: Workspace) -> None:
        """Chosen in the matrix."""

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        if value == NO_CELL:
            return None
        true, predicted = map(int, value.split("-"))
        table = space.table
        inside = (table["true"] == true) & (table["predicted"] == predicted)
        return inside.fillna(False).to_numpy(dtype=bool)

    def words(self, space: Workspace, value: str) -> str:
        if value == NO_CELL:
            return ""
        true, predicted = map(int, value.split("-"))
        return f"{space.class_name(true)} taken for {space.class_name(predicted)}"

    def clear(self) -> None:
        self.put(None, None)

    def put(self, true: int | None, predicted: int | None) -> None:
        """Show only one cell from the next run on; None for no cell."""
        none = true is None or predicted is None
        st.session_state[self.key] = NO_CELL if none else f"{true}-{predicted}"
