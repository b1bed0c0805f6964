"""The list of workspaces: open one, bring one as a file."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pandas as pd
import streamlit as st

from attnlib.dashboard.parts import controls, kept
from attnlib.dashboard.state import people, storage
from attnlib.dashboard.state.workspace import Workspace
from attnlib.store import Head

ACCESS = {"private": "members only", "team": "everybody here", "link": "whoever has the link"}
_OPEN = "workspaces_open"


def show(space: Workspace) -> None:
    """A row for each; a click opens it."""
    archived = controls.toggle(
        "workspaces_archived", "Archived ones", help="Those that were put out of the list."
    )
    me = people.person()
    heads = storage.store().workspaces(me, archived)
    if heads:
        _table(heads, space.session.stored.id)
    else:
        st.info(
            "None is archived."
            if archived
            else "Nothing is kept yet. Add images or tag one, and a workspace is made by itself."
        )
    _bring()


def _table(heads: list[Head], now: str) -> None:
    st.caption("A click on a row opens the workspace.")
    people_matter = people.sign_in_is_on()
    rows: list[dict[str, Any]] = []
    for head in heads:
        row: dict[str, Any] = {
            "name": head.name + (" (open)" if head.id == now else ""),
            "images": head.images,
            "changed": head.changed,
            "made": head.created,
        }
        if people_matter:
            row |= {"owner": head.owner_name, "seen by": ACCESS[head.access], "you": head.role}
        rows.append(row)
    ids = [head.id for head in heads]
    st.session_state["workspaces_ids"] = ids
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key=_OPEN,
        on_select=_open,
        selection_mode="single-row",
        column_config={
            name: st.column_config.DatetimeColumn(name, format="distance")
            for name in ("changed", "made")
        },
    )


def _open() -> None:
    chosen = st.session_state[_OPEN].selection.rows
    ids = st.session_state["workspaces_ids"]
    if len(chosen) == 1 and 0 <= chosen[0] < len(ids):
        kept.go(ids[chosen[0]])


def _bring() -> None:
    """Import what somebody exported."""
    number = st.session_state.setdefault("workspaces_brought", 0)
    with st.expander("Bring an exported workspace", icon=":material/upload_file:"):
        file = st.file_uploader(
            "One file, as “Export” writes it",
            type=["zip"],
            key=f"workspaces_file_{number}",
            help="It becomes a workspace of your own, with all images, tags, notes and comments.",
        )
        if file is None or not st.button(
            "Import", type="primary", help="Read the file and open the workspace."
        ):
            return
        id = uuid.uuid4().hex
        data = io.BytesIO(file.getvalue())
        with st.spinner("Reading"):
            storage.store().import_(people.person(), data, id)
        kept.go(id)
