"""What is hard for both models: whether more images than separate errors would give."""

from __future__ import annotations

import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.diagnosis.hard import Judged, expected, hard_for_all

SHOW = "versus_category"


def show(space: Workspace, there: Workspace, found: audit.Versus) -> None:
    """A finding in words, or that there is none; the images are the category “still wrong”."""
    if {space.vit.outputs.kind, there.vit.outputs.kind} != {"classes"}:
        return
    both = [judged(one, found) for one in (space, there)]
    finding = hard_for_all(both)
    if finding is None:
        images = counted(found.count("still wrong"), "image is", "images are")
        st.caption(
            f"Hard for both: {images} wrong with both; errors that had nothing to do with each "
            f"other would meet on {expected(both):.1f}. That is no finding."
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**Hard for both:** {literal(finding.sentence)}", width="stretch")
        st.button(
            "Show them",
            key="versus_hard",
            type="tertiary",
            on_click=_still_wrong,
            help=literal(finding.next_steps),
        )
    words = [one.sentence for one in (*finding.evidence, *finding.evidence_against)]
    p = finding.certainty.p_value
    chance = "less than 0.001" if p is not None and p < 0.001 else f"{p:.2g}"
    st.caption(f"{literal(' '.join(words))} The chance of as many by accident is {chance}.")


def judged(space: Workspace, found: audit.Versus) -> Judged:
    """What a model says of the images that both know the label of."""
    given = [space.prediction_of[name] for name in found.categories]
    return Judged(
        space.choice.title,
        {p.name: space.class_name(p.predicted) for p in given},
        {p.name: float(p.probabilities[p.label]) for p in given if p.label is not None},
        {p.name: p.wrong for p in given},
    )


def _still_wrong() -> None:
    st.session_state[SHOW] = "still wrong"
