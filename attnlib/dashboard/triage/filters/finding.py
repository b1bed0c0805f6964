"""By what was found to be wrong: the images of one finding of the page “Diagnosis”."""

from __future__ import annotations

import re

import streamlit as st

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Text
from attnlib.dashboard.state import diagnoses
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters.base import Mask
from attnlib.diagnosis import FINDERS

# The kind, then numbers of classes or of a layer; see `Diagnosed.by_code`.
_CODE = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*(\.[0-9]+)?)?", re.ASCII)


def _fits(text: str) -> None:
    if not _CODE.fullmatch(text):
        raise ValueError("a finding as the page “Diagnosis” names it")


class ByFinding:
    """The images of one finding; all where it is not known here, which its chip says."""

    key = "gallery_finding"

    def value(self, space: Workspace) -> str:
        return address.value(self.key, "", Text(_fits), label="Finding")

    def draw(self, space: Workspace) -> None:
        """Chosen on the page “Diagnosis”."""

    def keeps(self, space: Workspace, value: str) -> Mask | None:
        names = self._names(space, value)
        return None if names is None else space.table["image"].isin(names).to_numpy(dtype=bool)

    def words(self, space: Workspace, value: str) -> str:
        if not value:
            return ""
        if self._names(space, value) is not None:
            return f"finding: {title(value)}"
        if diagnoses.busy(space):
            return "finding: being looked for"
        return "all: this finding is not known here (see Diagnosis)"

    def clear(self) -> None:
        self.put("")

    def put(self, code: str) -> None:
        """Show only the images of one finding from the next run on."""
        st.session_state[self.key] = code

    def _names(self, space: Workspace, code: str) -> set[str] | None:
        if not code:
            return None
        found = diagnoses.known(space)
        finding = None if found is None else found.by_code.get(code)
        if finding is None:
            diagnoses.begin(space)
            return None
        return set(diagnoses.images(finding))


def title(code: str) -> str:
    """What the finding of a code is called on screen."""
    kinds = [kind for kind in FINDERS if code == kind or code.startswith((f"{kind}-", f"{kind}."))]
    return FINDERS[max(kinds, key=len)].title if kinds else code
