"""By words: of the file's name and of what a person said of the image."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf, SomeOf, Text
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask
from attnlib.data import remarks

NOTHING_SAID, CORRECTED, NOTED = "no tag", "label corrected", "with a note"


class ByText:
    """A part of the name, or of the note; case does not count."""

    key = "gallery_text"

    def value(self, space: Workspace) -> str:
        return address.value(self.key, "", Text(), label="Name or note").strip()

    def draw(self, space: Workspace) -> None:
        controls.text(
            self.key,
            "Name or note contains",
            placeholder="part of a file name, or of a note",
            help="Capital and small letters are the same.",
        )

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        if not value:
            return None
        part = value.casefold()
        return np.array(
            [
                part in name.casefold() or part in space.remark(name).note.casefold()
                for name in space.table["image"]
            ],
            dtype=bool,
        )

    def words(self, space: Workspace, value: str) -> str:
        return f"“{value}”" if value else ""

    def clear(self) -> None:
        st.session_state[self.key] = ""


class ByTag:
    """Any of some tags; and what else can be said of an image."""

    key = "gallery_tag"

    def value(self, space: Workspace) -> list[str]:
        return address.value(self.key, list[str](), SomeOf(OneOf(_options(space))), label="Tag")

    def draw(self, space: Workspace) -> None:
        controls.several(
            self.key,
            "Tag",
            _options(space),
            placeholder="any",
            help="Images with one of these. Tags are given on the opened image.",
        )

    def keeps(self, space: Workspace, value: list[str]) -> Mask | None:
        if not value:
            return None
        return np.array([_has(space, name, value) for name in space.table["image"]], dtype=bool)

    def words(self, space: Workspace, value: list[str]) -> str:
        return " or ".join(value)

    def clear(self) -> None:
        st.session_state[self.key] = []


def _options(space: Workspace) -> list[str]:
    return [*remarks.known(space.session.remarks), NOTHING_SAID, CORRECTED, NOTED]


def _has(space: Workspace, name: str, wanted: list[str]) -> bool:
    said = space.remark(name)
    return (
        any(tag in wanted for tag in said.tags)
        or (NOTHING_SAID in wanted and not said.tags)
        or (CORRECTED in wanted and bool(said.should_be))
        or (NOTED in wanted and bool(said.note))
    )
