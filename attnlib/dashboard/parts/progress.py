"""How far the inspection is, on whichever page one is."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.state.workspace import Workspace


def show(space: Workspace) -> None:
    """How far the inspection is; while it runs, the page asks again every second."""
    job = space.session.job
    if job is None:
        return
    if job.failure:
        st.error(job.failure, title=f"Stopped after {job.done} of {job.total} images")
        if st.button("Continue", key="continue_job"):
            space.session.job = None
            st.rerun()
    elif not job.finished:
        _running(space, job.done)


@st.fragment(run_every=1.0)
def _running(space: Workspace, shown: int) -> None:
    job = space.session.job
    if job is None:
        return
    job.look()
    st.progress(job.done / max(1, job.total), f"Inspecting: {job.done} of {job.total} images")
    # Results that came in since the page was drawn are drawn by running the page again.
    if job.finished or job.failure or job.done >= max(shown + 8, int(shown * 1.25)):
        st.rerun()
