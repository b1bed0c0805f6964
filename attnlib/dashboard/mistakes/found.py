"""What was found to be wrong with the whole set: a line above the gallery, and the way to it."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.mistakes import filling
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import concerns
from attnlib.dashboard.triage.concerns import PAGE
from attnlib.dashboard.triage.filters.finding import title
from attnlib.data.text import counted

# Of the kinds that can be asked further, so many are named.
NAMED = 3


def show(space: Workspace) -> None:
    """The costliest finding; the cheap kinds are looked for by themselves."""
    found = diagnoses.known(space)
    if found is None:
        if diagnoses.awaited(space):
            _later(space)
        return
    listed = found.by_code
    if not listed:
        more = [title(kind).lower() for kind in found.further]
        asked = counted(len(found.report.asked), "question")
        rest = f" and {len(more) - NAMED} more" if len(more) > NAMED else ""
        dear = f"; {len(more)} that cost more can be asked: {', '.join(more[:NAMED])}{rest}"
        _link(f"nothing was found in {asked}{dear if more else ''}.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        code, finding = next(iter(listed.items()))
        others = f" {counted(len(listed) - 1, 'finding')} more." if len(listed) > 1 else ""
        st.markdown(
            f":small[:material/stethoscope: **{literal(title(code))}:** "
            f"{literal(finding.sentence)}{others}]",
            width="stretch",
        )
        concerns.evidence(code, "found")


def _link(words: str) -> None:
    st.page_link(
        PAGE,
        label=f":small[Diagnosis: {words}]",
        icon=":material/stethoscope:",
        help="Opens the page that says what was asked, and asks more.",
    )


@st.fragment(run_every=2.0)
def _later(space: Workspace) -> None:
    """Begins once the page has stood for a while and its maps are there; then the page again."""
    # In the place of what comes, so that nothing moves then.
    _link("what costs little to ask is looked for by itself.")
    if DRAWING.kind == "page" or filling.current(space).busy:
        return
    diagnoses.begin(space)
    if not diagnoses.busy(space):
        st.rerun()
