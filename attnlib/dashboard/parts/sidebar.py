"""The sidebar that all pages share: the model, the images, the chosen image."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts import (
    account,
    address,
    chosen,
    kept,
    model_choice,
    naming,
    output_kind,
    preprocessing,
    uploads,
)
from attnlib.dashboard.state import embedded, session, workspace
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.workspace import Workspace


def show() -> Workspace:
    """Draw the sidebar and make the workspace of this run."""
    visitor = session.current()
    with st.sidebar:
        account.show()
        kept.show(visitor)
        st.subheader("Model", divider="gray")
        vit = model_choice.show(visitor)
        visitor.embed(embedded.of(visitor.choice.source))
        summary = st.container()
        vit = naming.imagenet(visitor, vit)
        vit = preprocessing.choose(visitor, vit)
        threshold = output_kind.threshold(vit)
        st.subheader("Images", divider="gray")
        uploads.show(visitor)
        vit = naming.folders(visitor, vit)
        with summary:
            model_choice.summary(visitor.choice.title, vit)
        visitor.models.keep(visitor.choice, visitor.upload)
        naming.rule(visitor)
        naming.meanings(visitor)
        space = workspace.build(visitor, vit, threshold)
        naming.numbers(space)
        naming.ambiguous(space)
        start_inspection(space)
        preprocessing.marks(space)
        address.mark_model()
        chosen.choose(space)
    return space


def start_inspection(space: Workspace) -> None:
    """Inspect what is not inspected yet; the page waits less than a second for it."""
    visitor = space.session
    # Before its widget is drawn for the first time, the choice stands in the link alone.
    wanted = st.session_state.get("image") or st.query_params.get("image")
    job = visitor.job
    if job is not None:
        job.first = wanted
        if job.choice == space.choice and job.samples is space.samples:
            return
        job.stop()
    visitor.job = Inspection(space.choice, space.vit, space.samples, before=job)
    visitor.job.first = wanted
    visitor.job.start(wait=0.8)
