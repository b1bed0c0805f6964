"""An audit that is run beside the page, with the model that is chosen: on one's own machine."""

from __future__ import annotations

import streamlit as st

from attnlib.audit.runs import Engine, ModelWanted, Wanted, begin, run
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.methods.base import Progress

FOLDER = "audit_folder"


def show(space: Workspace) -> None:
    """Which images, where to, and how far it is."""
    with st.expander("Run an audit here", icon=":material/play_circle:", key="audit_run_open"):
        st.caption(
            "One pass for each image, with the model and the preparation of the sidebar. Stop it "
            "or leave, and start it again later: what is done stays."
        )
        source = controls.text(
            "audit_source",
            "Images",
            linked=False,
            placeholder="data/val",
            help="A folder with one folder for each class, a zip, tar files, Parquet, a CSV of "
            "paths, or a URL of these.",
        ).strip()
        out = controls.text(
            "audit_out",
            "Folder for the audit",
            linked=False,
            placeholder="audits/best",
            help="A new one, or one of an audit to go on with.",
        ).strip()
        if not source or not out:
            return
        done = tasks.run(
            "audit_run",
            (source, out, space.choice),
            lambda progress: audited(space, source, out, progress),
            button="Start",
            help="Writes its parts into the folder.",
        )
        if done is not None:
            st.success(literal(f"{counted(done, 'image')} in {out}."))
            st.button("Open it", on_click=address.put, args=(FOLDER, out), help="Shows it here.")


def wanted_model(space: Workspace) -> ModelWanted:
    """The model of the sidebar, as an audit asks for it."""
    choice = space.choice
    return ModelWanted(
        choice.source, choice.checkpoint or None, outputs=choice.outputs, precision=choice.precision
    )


def audited(space: Workspace, source: str, out: str, progress: Progress) -> int:
    """Run it, and say how many images it has.

    Raises:
        AttnlibError: the source cannot be read, the folder not written, or it is of another audit.
    """
    model, wanted = wanted_model(space), Wanted(source, decoding=space.choice.decoding)
    audit = begin(model, wanted, out, vit=space.vit)
    before = audit.count()
    images, done = audit.manifest.images, before.images
    progress(done, images)

    def step(more: int) -> None:
        nonlocal done
        done += more
        progress(min(done, images), images)

    return run(audit, model, wanted, Engine(), step, vit=space.vit, before=before).images
