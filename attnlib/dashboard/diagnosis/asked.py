"""What was asked and what was not, what it costs, and asking for the rest."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import diagnoses, tasks
from attnlib.dashboard.state.diagnoses import Diagnosed
from attnlib.dashboard.state.workspace import Workspace
from attnlib.diagnosis import FINDERS


def further(space: Workspace, found: Diagnosed) -> None:
    """The kinds that take many passes: which, what they cost, and a button."""
    rest = found.further
    if not rest:
        return
    kinds = controls.several(
        "diagnosis_kinds",
        "Look further for",
        rest,
        default=rest,
        title=lambda kind: FINDERS[kind].title,
        of=tuple(rest),
        wrap=True,
        help="These take many passes, so they are looked for only when you ask.",
    )
    if not kinds:
        return
    passes = sum(found.passes[kind] for kind in kinds)
    st.caption(
        f"About {passes:,.0f} passes of the model; at {duration(found.pass_s)} a pass, as measured "
        f"here, {duration(passes * found.pass_s)} or less. You can go on working meanwhile."
    )
    question = diagnoses.further(space, found, kinds)
    if question is None:
        return
    more = tasks.run(
        diagnoses.MORE,
        question.key,
        question.answer,
        button="Look further",
        help="Runs beside the page and can be stopped. What was found so far stays.",
        shared=True,
        percent=True,
    )
    if more is not None:
        st.session_state[diagnoses.ASKED] = question.kinds
        st.rerun()


def listed(found: Diagnosed) -> None:
    """Every question with its answer, or why it was not asked."""
    st.subheader("What was asked", anchor=False)
    counts = {
        kind: sum(finding.kind == kind for finding in found.report.findings) for kind in FINDERS
    }
    lines = []
    for kind, finder in FINDERS.items():
        lines.append(
            f"- **{literal(finder.title)}.** {literal(finder.question)} "
            f"{_answer(found, kind, counts[kind])}"
        )
    st.markdown("\n".join(lines))


def _answer(found: Diagnosed, kind: str, count: int) -> str:
    """What came of one question, as Markdown."""
    report = found.report
    if kind in report.left_out:
        return f"*Cannot be told: {literal(report.left_out[kind])}.*"
    if kind not in report.asked:
        return f"*Not asked yet: about {found.passes[kind]:,.0f} passes.*"
    took = f"{duration(found.seconds[kind])}"
    return f"**Found: {count}** ({took})." if count else f"Nothing found ({took})."


def duration(seconds: float) -> str:
    """A time as text."""
    if seconds < 0.1:
        return f"{max(1, round(1000 * seconds)):.0f} ms"
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
