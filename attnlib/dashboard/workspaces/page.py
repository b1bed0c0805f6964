"""The page as a whole: the workspace that is open, the list of all, and what an admin sees."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.dashboard.parts import views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import people, storage
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.workspaces import listed, log, opened

VIEWS: dict[str, Callable[[Workspace], None]] = {
    "All workspaces": listed.show,
    "This one": opened.show,
}
ADMIN: dict[str, Callable[[Workspace], None]] = {"Log and use": log.show}


def show(space: Workspace) -> None:
    """The chosen view; the last of them for admins alone."""
    if reason := storage.off():
        st.info(literal(reason))
        return
    known = {**VIEWS, **(ADMIN if people.person().role == "admin" else {})}
    view = views.choose(
        "workspaces_view", known, label="View", help="What is kept, and who may see it."
    )
    view(space)
