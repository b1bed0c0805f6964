"""Results of another evaluation beside an audit."""

from __future__ import annotations

from collections.abc import Hashable

import streamlit as st

from attnlib.audit.handed import here, of_audit
from attnlib.audit.handed import names as names_of
from attnlib.audit.joined import Joined, join
from attnlib.audit.opened import Opened
from attnlib.dashboard.audits import images, sayings
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage.elsewhere import bring, confirm, differ, handing, taking
from attnlib.data.remarks import Remark
from attnlib.data.results import Results
from attnlib.methods.base import Progress

# The check makes some nine passes of each.
CHECKED = 200


def show(space: Workspace, found: Opened) -> None:
    """The files, their columns, the comparison; and the audit's results for others."""
    images.messages()
    brought = bring.show()
    if brought is not None:
        # By which columns of names, and rows without one, are judged.
        listed: list[str] = space.session.memo(
            "audit names",
            found.stamp,
            lambda: names_of(found),
        )
        taken = confirm.show(brought, found.manifest.class_names, listed)
        if taken is not None:
            _compare(space, found, taken, (brought.stamp, brought.times))
    remarks = sayings.remarks(space, found)
    handing.show(
        lambda: of_audit(found, remarks), sum(bool(one.should_be) for one in remarks.values())
    )


def _compare(space: Workspace, found: Opened, taken: Results, stamp: Hashable) -> None:
    def work(progress: Progress) -> Joined:
        progress(0, 1)
        return join(here(found, embeddings=taken.embeddings is not None), taken)

    joined = tasks.run(
        "elsewhere",
        (*found.stamp, stamp),
        work,
        button="Compare",
        help="Sets the results beside the audit's own.",
        eager=True,
    )
    if joined is None:
        return

    known = sayings.remarks(space, found)

    def say(new: dict[str, Remark]) -> None:
        for name, after in new.items():
            sayings.say(space, found, name, known.get(name, Remark()), after)

    names = found.manifest.class_names
    taking.said(joined, taken, names, lambda name: known.get(name, Remark()), say)

    def check() -> None:
        labelled = joined.table[joined.table["label"] != ""]["name"].tolist()
        images.take(space, found, labelled[:CHECKED])
        st.session_state["gallery_panel"] = "Preprocessing check"
        st.session_state["image"] = None

    def look(names: list[str]) -> None:
        images.take(space, found, names)
        st.session_state["image"] = names[0]

    differ.show(joined, taken, lambda names: images.thumbnails(found, list(names)), look, check)
