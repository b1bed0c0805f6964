"""What was found about the open image, a line for each, and the way to its evidence."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses, startup
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.filters import FINDING
from attnlib.dashboard.triage.filters.finding import title

PAGE = startup.PAGES / "diagnosis" / "page.py"
# Which finding is open there.
OPEN = "diagnosis_open"
MOST = 3


def show(space: Workspace, name: str) -> None:
    """The most costly findings that name the image; nothing where there is none."""
    diagnoses.begin(space)
    found = diagnoses.concerning(space, name)
    for code, finding in list(found.items())[:MOST]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                f":small[:material/stethoscope: **{literal(title(code))}:** "
                f"{literal(finding.sentence)}]",
                width="stretch",
            )
            evidence(code, "concern")
    if len(found) > MOST:
        st.caption(f"{len(found) - MOST} more findings name this image; see “Diagnosis”.")
    wait(space)


def evidence(code: str, where: str) -> None:
    """A button that opens a finding on its page."""
    if st.button(
        "Evidence",
        key=f"{where}_{code}",
        type="tertiary",
        icon=":material/arrow_forward:",
        on_click=open_finding,
        args=(code,),
        help="Opens this finding on the page “Diagnosis”: what speaks for it and against it.",
    ):
        st.switch_page(PAGE)


def open_finding(code: str) -> None:
    """Have the page “Diagnosis” open a finding."""
    st.session_state[OPEN] = code


def wait(space: Workspace) -> None:
    """The page again, once the cheap kinds were looked for, where they are being looked for."""
    if diagnoses.busy(space):
        _waiting(space)


def wait_for_filter(space: Workspace) -> None:
    """The same where the gallery is narrowed to a finding."""
    if FINDING.value(space):
        wait(space)


@st.fragment(run_every=0.7)
def _waiting(space: Workspace) -> None:
    if not diagnoses.busy(space):
        st.rerun()
