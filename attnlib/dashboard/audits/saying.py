"""Tags, a note and the right label for the images that are chosen in the list of an audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.dashboard.audits import sayings
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import remarks
from attnlib.data.remarks import Remark
from attnlib.data.text import counted
from attnlib.errors import AttnlibError

_PROBLEM = "audit_say_problem"


def show(space: Workspace, found: Opened, said: Mapping[str, Remark], names: list[str]) -> None:
    """The tags of the chosen images; for one of them a note and the label that it should have.

    Args:
        said: of every image of which something was said.
    """
    if problem := st.session_state.pop(_PROBLEM, ""):
        st.warning(literal(problem))
    of = tuple(names)

    def change(name: str, **parts: Any) -> None:
        before = said.get(name, Remark())
        after = replace(before, **parts)
        try:
            if after != before:
                sayings.say(space, found, name, before, after)
        except AttnlibError as error:
            st.session_state[_PROBLEM] = str(error)

    _tags(said, names, f"audit_tags_{hash(of)}", change)
    if len(names) == 1:
        with st.container(horizontal=True, vertical_alignment="top"):
            _note(said.get(names[0], Remark()), names[0], change)
            _label(found, said.get(names[0], Remark()), names[0], change)
    if not sayings.kept(found):
        st.caption(
            "What you say here stays in this tab: on this server only editors who are signed in "
            "write beside an audit."
        )


def _tags(said: Mapping[str, Remark], names: list[str], key: str, change: Any) -> None:
    listed = [set(said.get(name, Remark()).tags) for name in names]
    shared = set.intersection(*listed)
    known = remarks.known(dict(said))
    st.session_state[key] = [tag for tag in known if tag in shared]

    def changed() -> None:
        on = set(st.session_state[key])
        for name, tags in zip(names, listed, strict=True):
            made = [tag for tag in known if tag in (tags - (shared - on)) | (on - shared)]
            change(name, tags=remarks.tidy(made))

    def another() -> None:
        for name, tags in zip(names, listed, strict=True):
            ordered = [tag for tag in known if tag in tags]
            change(name, tags=remarks.tidy([*ordered, st.session_state[f"{key}_new"]]))
        st.session_state[f"{key}_new"] = ""

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            f"Tags of {counted(len(names), 'chosen image')}",
            known,
            selection_mode="multi",
            key=key,
            on_change=changed,
            help="A click gives a tag to all chosen images or takes it away; filled are those that "
            "all of them have.",
        )
        st.text_input(
            "Another tag",
            key=f"{key}_new",
            on_change=another,
            max_chars=remarks.LONGEST_TAG,
            width=200,
            placeholder="a word or two, then Enter",
            help="It is then offered for every image.",
        )


def _note(said: Remark, name: str, change: Any) -> None:
    key = f"audit_note_{hash(name)}"
    st.session_state[key] = said.note
    st.text_area(
        "Note",
        key=key,
        on_change=lambda: change(name, note=st.session_state[key].strip()),
        height=80,
        max_chars=2000,
        help="Stands in every export.",
    )


def _label(found: Opened, said: Remark, name: str, change: Any) -> None:
    key = f"audit_should_be_{hash(name)}"
    names = list(found.manifest.class_names)
    st.session_state[key] = said.should_be if said.should_be in names else None
    st.selectbox(
        "The label is wrong, it should be",
        names,
        index=None,
        key=key,
        placeholder="the label is right",
        width=300,
        on_change=lambda: change(name, should_be=st.session_state[key] or ""),
        help="Kept beside the label that came with the image; exports have both.",
    )
