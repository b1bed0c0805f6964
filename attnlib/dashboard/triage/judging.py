"""What a person says of the open image: tags with one click, a note, the right label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import talk
from attnlib.data import remarks
from attnlib.data.remarks import Remark


def show(space: Workspace, prediction: Prediction) -> None:
    """The tags in one line; a note and the verdict on the label behind a button."""
    name = prediction.name
    said = space.remark(name)
    of = space.by_name[name].sha256[:16]

    def change(**parts: Any) -> None:
        made = replace(space.remark(name), **parts)
        if made:
            space.session.remarks[name] = made
        else:
            space.session.remarks.pop(name, None)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _tags(space, said, of, change)
        with controls.drawer(
            "note_open",
            _title(said),
            icon=":material/edit_note:",
            help="A note, other tags, the right label.",
        ) as place:
            if place.open:
                _new_tag(said, of, change)
                _note(said, of, change)
                if prediction.classifies:
                    _label(space, said, of, change)
        talk.show(space, name)


def _title(said: Remark) -> str:
    return "Note and label" + (" ✓" if said.note or said.should_be else "")


def _tags(space: Workspace, said: Remark, of: str, change: Any) -> None:
    key = f"said_tags_{of}"
    known = remarks.known(space.session.remarks)
    st.session_state[key] = list(said.tags)
    st.pills(
        "Tags",
        known,
        selection_mode="multi",
        key=key,
        label_visibility="collapsed",
        on_change=lambda: change(tags=remarks.tidy(st.session_state[key])),
        help="Why is it wrong? A click gives a tag or takes it away; the gallery filters by them.",
        wrap=True,
    )


def _new_tag(said: Remark, of: str, change: Any) -> None:
    key = f"said_new_tag_{of}"

    def add() -> None:
        change(tags=remarks.tidy([*said.tags, st.session_state[key]]))
        st.session_state[key] = ""

    st.text_input(
        "Another tag",
        key=key,
        on_change=add,
        max_chars=remarks.LONGEST_TAG,
        placeholder="a word or two, then Enter",
        help="It is then offered for every image.",
    )


def _follow(key: str, said: str, shown: str | None) -> None:
    """Have a control show what is said now: somebody else may have said it meanwhile."""
    if st.session_state.get(f"{key}_now") != said or key not in st.session_state:
        st.session_state[key], st.session_state[f"{key}_now"] = shown, said


def _note(said: Remark, of: str, change: Any) -> None:
    key = f"said_note_{of}"
    _follow(key, said.note, said.note)
    st.text_area(
        "Note",
        key=key,
        on_change=lambda: change(note=st.session_state[key].strip()),
        height=80,
        max_chars=2000,
        help="Stands in the table, the report and every export.",
    )


def _label(space: Workspace, said: Remark, of: str, change: Any) -> None:
    key = f"said_should_be_{of}"
    names = list(space.vit.class_names)
    _follow(key, said.should_be, said.should_be if said.should_be in names else None)
    st.selectbox(
        "The label is wrong, it should be",
        names,
        index=None,
        key=key,
        placeholder="the label is right",
        on_change=lambda: change(should_be=st.session_state[key] or ""),
        help=(
            "Kept beside the label that came with the image, which the accuracy goes on counting; "
            "exports have both."
        ),
    )
