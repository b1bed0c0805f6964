"""Comments on the open image: who said what, and when."""

from __future__ import annotations

import uuid

import streamlit as st

from attnlib.dashboard.parts import controls, kept
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import people, storage
from attnlib.dashboard.state.workspace import Workspace
from attnlib.store import Comment

LONGEST = 2000


def show(space: Workspace, name: str) -> None:
    """What was said of an image, behind a button, with a line to add to it."""
    if storage.off():
        return
    stored = space.session.stored
    said = stored.comments.get(name, ())
    waiting = [text for image, text in stored.unsent.values() if image == name]
    count = len(said) + len(waiting)
    with controls.drawer(
        "talk_open",
        f"Comments ({count})" if count else "Comments",
        icon=":material/forum:",
        help="Talk about this image with whoever sees the workspace.",
    ) as place:
        if not place.open:
            return
        for comment in said:
            _one(space, comment)
        for text in waiting:
            st.caption(f"Being saved: {literal(text)}")
        _new(space, name)


def _one(space: Workspace, comment: Comment) -> None:
    me, head = people.person(), space.session.stored.head
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"**{literal(comment.author_name)}**, {comment.at:%d %b %Y, %H:%M} UTC  \n"
            f"{literal(comment.text)}"
        )
        if comment.author == me.id or (head is not None and head.role == "admin"):
            st.button(
                "Take away",
                key=f"uncomment_{comment.id}",
                type="tertiary",
                on_click=_uncomment,
                args=(space, comment.id),
                help="Delete this comment.",
            )


def _new(space: Workspace, name: str) -> None:
    key = f"said_comment_{space.by_name[name].sha256[:16]}"

    def add() -> None:
        text = st.session_state[key].strip()
        if text:
            space.session.stored.unsent[uuid.uuid4().hex] = (name, text)
        st.session_state[key] = ""

    st.text_input(
        "Add a comment",
        key=key,
        on_change=add,
        max_chars=LONGEST,
        placeholder="then Enter",
        help="It carries your name and the time.",
    )


def _uncomment(space: Workspace, id: str) -> None:
    stored, me = space.session.stored, people.person()
    kept.attempt(lambda: storage.store().uncomment(me, stored.id, id))
