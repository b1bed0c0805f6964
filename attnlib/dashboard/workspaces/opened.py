"""The workspace that is open: who sees it, copies of it, and its end."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import streamlit as st

from attnlib.dashboard.parts import copy, kept
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import people, storage
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.workspaces.listed import ACCESS
from attnlib.data.text import counted
from attnlib.store import Access, Head, Role

ROLES: tuple[Role, ...] = get_args(Role)


def show(space: Workspace) -> None:
    """What it is, then what can be done with it."""
    head = space.session.stored.head
    if head is None:
        st.info("Nothing is kept of this yet. Add images or tag one, and it is.")
        return
    _facts(space, head)
    if people.sign_in_is_on() and head.role in ("editor", "admin"):
        _sharing(head)
    _copies(head)
    if head.role in ("editor", "admin"):
        _end(head)


def _facts(space: Workspace, head: Head) -> None:
    stored = space.session.stored
    said = sum(bool(case.remark) for case in stored.cases.values())
    comments = sum(map(len, stored.comments.values()))
    st.subheader(literal(head.name), anchor=False)
    st.caption(
        f"{counted(head.images, 'image')}, {said} judged, {counted(comments, 'comment')}. Model: "
        f"{literal(space.choice.title)}. Made by {literal(head.owner_name)} on "
        f"{head.created:%d %b %Y, %H:%M} UTC."
    )
    copy.address(
        "Copy the link", key="workspace_link", help="It opens this workspace, on this page."
    )


def _sharing(head: Head) -> None:
    """Who may see it."""
    me = people.person()
    st.markdown("#### Who sees it")
    if head.role != "admin":
        st.caption(f"Seen by: {ACCESS[head.access]}. Its admins change that.")
        return
    members = storage.store().members(me, head.id)
    access = st.segmented_control(
        "Seen by",
        list(ACCESS),
        default=head.access,
        required=True,
        wrap=True,
        format_func=ACCESS.__getitem__,
        key=f"access_{head.id}_{head.access}",
        help="Members always; “everybody here” finds it in the list; a link needs a sign-in too.",
    )
    edited = st.data_editor(
        pd.DataFrame({"person": list(members), "role": list(members.values())}, dtype=object),
        num_rows="dynamic",
        hide_index=True,
        width=520,
        key=f"members_{head.id}_{head.revision}",
        column_config={
            "person": st.column_config.TextColumn("E-mail address", required=True),
            "role": st.column_config.SelectboxColumn("Role", options=ROLES, required=True),
        },
    )
    st.caption("A viewer looks and comments, an editor changes, an admin also shares and deletes.")
    if st.button("Save who sees it", type="primary", help="From now on these people do."):
        wanted = _wanted(edited)
        if kept.attempt(lambda: storage.store().share(me, head.id, _access(access), wanted)):
            st.rerun()


def _access(chosen: Any) -> Access:
    found: Access = chosen
    return found


def _wanted(edited: pd.DataFrame) -> dict[str, Role]:
    """The rows that say both, by address."""
    found: dict[str, Role] = {}
    for person, role in edited.itertuples(index=False):
        if isinstance(person, str) and person.strip() and role in ROLES:
            found[person.strip()] = role
    return found


def _copies(head: Head) -> None:
    st.markdown("#### Copies")
    me = people.person()
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Duplicate",
            icon=":material/file_copy:",
            help="A private copy of all that is in it, which then goes its own way.",
        ):
            id = uuid.uuid4().hex
            if kept.attempt(
                lambda: storage.store().duplicate(me, head.id, id, f"{head.name} (copy)"[:200])
            ):
                kept.go(id)
        st.download_button(
            "Export as one file",
            lambda: _exported(head),
            "workspace.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            help="A zip of the images, with tables of all that is said; it can be imported again.",
        )


def _exported(head: Head) -> bytes:
    """The whole workspace as a zip; made on disk, since it may be large."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workspace.zip"
        with path.open("wb") as target:
            storage.store().export(people.person(), head.id, target)
        return path.read_bytes()


def _end(head: Head) -> None:
    st.markdown("#### Put away")
    me = people.person()
    with st.container(horizontal=True, gap="small"):
        title, act = ("Restore", "restore") if head.archived else ("Archive", "archive")
        if st.button(
            title,
            icon=":material/archive:",
            help="Out of the list, or back into it; it stays as it is, and its link works.",
        ) and kept.attempt(lambda: getattr(storage.store(), act)(me, head.id)):
            st.rerun()
        if head.role == "admin" and st.button(
            "Delete …",
            icon=":material/delete_forever:",
            help="For good, with its images where no other workspace uses them.",
        ):
            _delete(head)


@st.dialog("Delete this workspace?")
def _delete(head: Head) -> None:
    st.write(
        f"“{literal(head.name)}”, its {head.images} images, all tags, notes and comments. There "
        "is no way back."
    )
    if st.button("Delete for good", type="primary", help="Now.") and kept.attempt(
        lambda: storage.store().delete(people.person(), head.id)
    ):
        kept.go("")
