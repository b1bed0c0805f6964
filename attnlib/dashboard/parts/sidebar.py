"""The sidebar that all pages share: the model, the images, the chosen image."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import chosen, model_choice, uploads
from attnlib.dashboard.state import session, workspace
from attnlib.dashboard.state.jobs import InspectionJob
from attnlib.dashboard.state.workspace import Workspace


def show() -> Workspace:
    """Draw the sidebar and make the workspace of this run."""
    visitor = session.current()
    with st.sidebar:
        st.subheader("Model", divider="gray")
        vit = model_choice.show(visitor)
        st.subheader("Images", divider="gray")
        uploads.show(visitor)
        space = workspace.build(visitor, vit)
        start_inspection(space)
        chosen.choose(space)
    return space


def start_inspection(space: Workspace) -> None:
    """Inspect what is not inspected yet; what takes less than a second is done at once."""
    visitor = space.session
    job = visitor.job
    if job is not None:
        if job.choice == space.choice and job.samples is space.samples:
            return
        job.cancel()
    job = InspectionJob(space.choice, space.vit, space.samples)
    visitor.job = job
    job.run(seconds=0.8)
    if not job.finished:
        job.start()
