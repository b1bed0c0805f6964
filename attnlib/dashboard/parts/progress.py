"""How far the inspection is and what it refused, on whichever page one is."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.runner import WAITING
from attnlib.dashboard.state.workspace import Workspace

# As many images as a page of large cards.
FIRST = 6


def show(space: Workspace) -> None:
    """Progress while the inspection runs, why it stopped and how to go on, and refusals."""
    # Always one element, so that what stands below keeps its place.
    with st.container(gap="small"):
        if space.choice.random:
            st.warning(
                f"{literal(space.choice.title)}: nothing was learned. Predictions and maps are "
                "those of chance."
            )
        job = space.session.job
        if job is not None:
            state(space, job)
        _refusals(space)


def state(space: Workspace, job: Inspection, title: str = "Inspecting", key: str = "job") -> None:
    """How far one inspection is, or why it ended early and how to go on.

    Args:
        title: what it does.
        key: tells two inspections of one page apart.
    """
    if not job.finished:
        # By what this run of the page knows, which may be less than what has arrived meanwhile.
        known = {*space.prediction_of, *(refusal.name for refusal in job.refusals)}
        missed = job.first in space.by_name and job.first not in known
        _running(job, len(known), missed, title)
    elif job.failure:
        st.error(literal(job.failure), title=f"Stopped after {job.done} of {job.total} images")
        if st.button(
            "Continue",
            key=f"continue_{key}",
            help="Go on with the images that are not inspected yet.",
        ):
            job.start(wait=0.8)
            st.rerun()


@st.fragment(run_every=0.5)
def _running(job: Inspection, shown: int, missed: bool, title: str) -> None:
    """The bar. The page runs again when there is more to see than when it was drawn."""
    state = f"{WAITING}, {job.total} images" if job.waiting else f"{job.done} of {job.total} images"
    st.progress(job.done / max(1, job.total), f"{title}: {state}")
    if more(job, shown, missed):
        st.rerun()


def more(job: Inspection, shown: int, missed: bool) -> bool:
    """Whether the page is to be drawn again: at the first image, then ever more rarely.

    Args:
        shown: how many images were known when the page was drawn.
        missed: whether the chosen image was not, so that it is drawn again as soon as it is.
    """
    arrived = missed and not job.waits(job.first or "")
    # One by one for the first cards, which somebody waits for.
    enough = max(shown + 8, int(shown * 1.25)) if shown >= FIRST else shown + 1
    return job.finished or arrived or job.done >= enough


def _refusals(space: Workspace) -> None:
    job = space.session.job
    refused = [*space.session.refusals, *(job.refusals if job is not None else [])]
    if refused:
        with st.expander(
            f"{len(refused)} file{'s' if len(refused) > 1 else ''} could not be used",
            icon=":material/warning:",
            expanded=True,
        ):
            st.dataframe(
                [{"file": item.name, "reason": item.reason} for item in refused],
                hide_index=True,
            )
