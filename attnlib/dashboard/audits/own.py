"""An audit of the images that are loaded in the session: on any server, seen by nobody else.

Its folder is one of the machine's temporary ones and goes with the session. It can be opened by no
address.
"""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import TemporaryDirectory

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.audit.runs import Engine, Wanted, begin, run
from attnlib.dashboard.audits.begun import wanted_model
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.sets.held import Held
from attnlib.data.text import counted
from attnlib.methods.base import Progress

SOURCE = "the images of this session"
# Rows that are held before they are written.
SHARD = 1024


@dataclass(frozen=True)
class Own:
    """An audit and its folder, which is removed when nobody holds this any longer."""

    opened: Opened
    folder: TemporaryDirectory[str]


def show(space: Workspace) -> Opened | None:
    """The audit; None before it is asked for or while it runs."""
    st.caption(
        f"{counted(len(space.samples), 'image')} loaded here, {len(space.labels.labels):,} with a "
        "label, and the model of the sidebar. An audit says which classes and which groups of "
        "images fail more than chance would have it, and where in the plane mistakes lie. Nobody "
        "else sees it; it is gone when you close the tab or choose other images."
    )
    names = space.vit.class_names
    images = Held(space.samples, {n: names[i] for n, i in space.labels.labels.items()})
    made = tasks.run(
        "audit_own",
        (space.choice, space.session.changes, space.labels),
        lambda progress: audited(space, images, progress),
        button="Audit these images",
        help="One pass for each image.",
    )
    return None if made is None else made.opened


def audited(space: Workspace, images: Held, progress: Progress) -> Own:
    """Run it from the first image to the last.

    Raises:
        AttnlibError: there is no image, the model fails, or nothing can be written here.
    """
    model, total, done = wanted_model(space), len(images.samples), 0
    wanted = Wanted(SOURCE, decoding=space.choice.decoding, shard_size=SHARD)
    folder = TemporaryDirectory(prefix="attnlib-audit-", ignore_cleanup_errors=True)
    audit = begin(model, wanted, folder.name, vit=space.vit, images=images)

    def step(more: int) -> None:
        nonlocal done
        done += more
        progress(min(done, total), total)

    run(audit, model, wanted, Engine(), step, vit=space.vit, images=images)
    return Own(Opened(folder.name, images), folder)
