"""The page as a whole: what is wrong in a few sentences, the evidence of one, what was asked."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.diagnosis import asked, evidence, taken
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses, tasks
from attnlib.dashboard.state.diagnoses import Diagnosed
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import concerns
from attnlib.dashboard.triage.filters.finding import title
from attnlib.diagnosis import Finding

# Sentences that a page begins with: the costliest causes are what to mend first.
MOST = 5
CLOSED = "none"


def show(space: Workspace) -> None:
    """What is known by now; the cheap kinds are looked for at once, the others on demand."""
    question = diagnoses.question(space)
    if question is None:
        job = space.session.job
        st.info(
            "No image could be inspected, so nothing can be said of the set."
            if job is not None and job.finished
            else "The diagnosis begins as soon as all images are inspected."
        )
        return
    found = diagnoses.known(space) or tasks.run(
        diagnoses.TASK,
        question.key,
        question.answer,
        button="Look for what is wrong",
        help="Asks what costs hardly more than the inspection; it runs beside the page.",
        eager=True,
        shared=True,
        percent=True,
    )
    if found is None:
        return
    _summary(space, found)
    _findings(space, found)
    asked.further(space, found)
    asked.listed(found)
    taken.show(found)


def _summary(space: Workspace, found: Diagnosed) -> None:
    """How much was looked at, and that nothing was found where that is so."""
    report = found.report
    numbers = [f"**{report.images}** images"]
    if report.labelled:
        numbers += [f"**{report.labelled:d}** labelled", f"**{report.mistakes:d}** mistakes"]
    elif space.vit.outputs.kind == "classes":
        numbers.append("none with a label: which are mistakes is not known")
    else:
        outputs = space.vit.outputs
        numbers.append(f"outputs are {outputs.title}: no image has one right class")
    if found.left:
        numbers.append(f"**{found.left:d}** more were left out: too many pixels to hold at once")
    st.markdown(" · ".join(numbers))
    if report.findings:
        return
    count = len(report.asked)
    st.success(
        f"**Nothing was found**, which is the usual answer: {count} "
        f"{'question was' if count == 1 else 'questions were'} asked of {report.images} images. "
        "A cause that nobody asked about is not ruled out."
        if count
        else "**Nothing could be asked**; the reasons stand below.",
        icon=":material/check_circle:" if count else ":material/help:",
    )


def _findings(space: Workspace, found: Diagnosed) -> None:
    """A sentence for each finding, the most costly first; below them the evidence of one."""
    listed = found.by_code
    if not listed:
        return
    codes = list(listed)
    opened = address.value(concerns.OPEN, codes[0], OneOf([*codes, CLOSED]), label="Finding")
    every = len(codes) <= MOST or controls.toggle(
        "diagnosis_all",
        f"All {len(codes)} findings",
        help=f"Also those that cost less than the first {MOST}.",
    )
    shown = codes if every else codes[:MOST]
    for code in [*shown, *({opened} - {*shown, CLOSED})]:
        _sentence(code, listed[code], code == opened)
    if opened != CLOSED:
        with st.container(border=True, gap="small"):
            evidence.show(space, opened, listed[opened])


def _sentence(code: str, finding: Finding, opened: bool) -> None:
    st.markdown(f"**{literal(finding.sentence)}**")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(literal(title(code)), icon=":material/warning:", color="orange")
        if finding.mistakes:
            mistakes = "mistake" if finding.mistakes == 1 else "mistakes"
            st.caption(f"{finding.mistakes:d} {mistakes}", width="content")
        st.button(
            "Close" if opened else "Evidence",
            key=f"evidence_{code}",
            type="tertiary",
            icon=":material/expand_less:" if opened else ":material/expand_more:",
            on_click=concerns.open_finding,
            args=(CLOSED if opened else code,),
            help="What speaks for it and against it, how sure it is, and what to do.",
        )
