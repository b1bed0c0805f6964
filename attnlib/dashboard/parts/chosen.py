"""The image that a page is about, and its prediction, in a strip at the top."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.parts.verdict import verdict
from attnlib.dashboard.state.workspace import Workspace

SIDE = 128


def prediction(space: Workspace) -> Prediction | None:
    """The chosen image's prediction; without a choice, the most confident mistake."""
    name = st.session_state.get("image")
    if name is not None:
        return space.prediction_of.get(name)
    ranked = sorted(space.predictions, key=lambda p: (not p.wrong, -p.confidence))
    return ranked[0] if ranked else None


def strip(space: Workspace) -> Prediction | None:
    """Show which image this page is about; None (and why) where there is none yet."""
    found = prediction(space)
    if found is None:
        missing(space, st.session_state.get("image"))
        return None
    names = [p.name for p in sorted(space.predictions, key=lambda p: (not p.wrong, -p.confidence))]
    place = names.index(found.name)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        crop = space.inspected(found.name).picture
        pictures.show(plain(crop, 2 * SIDE), SIDE, alt=found.name)
        with st.container(width=260):
            verdict(space, found, key="strip")
        with st.container(width="content", gap="small"):
            with st.container(horizontal=True):
                for label, step, icon in (
                    ("Previous", -1, ":material/chevron_left:"),
                    ("Next", 1, ":material/chevron_right:"),
                ):
                    st.button(
                        label,
                        icon=icon,
                        disabled=not 0 <= place + step < len(names),
                        on_click=_choose,
                        args=(names[min(max(place + step, 0), len(names) - 1)],),
                        help="Through all images, confident mistakes first.",
                    )
            if st.session_state.get("image") is None:
                st.caption("The most confident mistake. Choose another image in the sidebar.")
    return found


def missing(space: Workspace, name: str | None) -> None:
    """Why there is no prediction of an image, or of any image, yet."""
    job = space.session.job
    reason = next((r.reason for r in job.refusals if r.name == name), "") if job else ""
    if reason:
        st.warning(reason, title=f"{literal(name or '')} could not be used")
    elif job is None or job.finished:
        st.info("No image is inspected." if name is None else "This image is not inspected.")
    else:
        st.info("This image waits for its turn; the page goes on by itself.")


def _choose(name: str) -> None:
    st.session_state["image"] = name
