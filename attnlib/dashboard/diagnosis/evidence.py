"""The evidence of one finding: for it and against it, how sure it is, and what to do next."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.diagnosis import images, tagging
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses, startup
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened
from attnlib.dashboard.triage.filters import FILTERS, FINDING
from attnlib.dashboard.triage.filters.finding import title
from attnlib.diagnosis import Finding, words

GALLERY = startup.PAGES / "prediction_debugging" / "page.py"


def show(space: Workspace, code: str, finding: Finding) -> None:
    """All of it, then the ways to its images."""
    st.subheader(literal(title(code)), anchor=False)
    _side("What speaks for it", [one.sentence for one in finding.evidence])
    _side(
        "What speaks against it, or was tried and changed nothing",
        [one.sentence for one in finding.evidence_against],
    )
    st.markdown(f"**How sure:** {literal(words.certainty(finding.certainty))}")
    st.markdown(
        f"**Announced from {finding.threshold:.3g} on; here it is {finding.value:.3g}.** "
        f"Where that comes from: {literal(finding.threshold_source)}."
    )
    st.markdown(f"**What to do:** {literal(finding.next_steps)}")
    images.show(space, code, finding)
    names = [name for name in diagnoses.images(finding) if name in space.prediction_of]
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            f"Show {_counted(len(names))} in the gallery",
            key=f"gallery_of_{code}",
            icon=":material/filter_list:",
            on_click=_narrow,
            args=(code,),
            help="Opens “Prediction debugging” with only the images of this finding.",
        ):
            st.switch_page(GALLERY)
        tagging.button(space, code, finding.kind, names)


def _side(heading: str, sentences: list[str]) -> None:
    if sentences:
        lines = "\n".join(f"- {literal(sentence)}" for sentence in sentences)
        st.markdown(f"**{literal(heading)}**\n\n{lines}")


def _counted(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _narrow(code: str) -> None:
    """Have the gallery show the images of one finding, whatever else it was narrowed to."""
    for one in FILTERS:
        one.clear()
    FINDING.put(code)
    opened.close()
