"""One tag for all images of a finding, as a person would set it image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import remarks
from attnlib.diagnosis import FINDERS

# Where people have a word of their own for it, that one.
TAGS = {
    "label-noise": "label error",
    "background": "background shortcut",
    "shortcut": "background shortcut",
    "crop": "object cut off",
}


def tag_of(kind: str) -> str:
    """The tag that stands for a kind of finding."""
    title = FINDERS[kind].title if kind in FINDERS else kind
    return TAGS.get(kind) or remarks.tidy([title.lower()])[0]


def button(space: Workspace, code: str, kind: str, names: Sequence[str]) -> None:
    """Gives the tag to all of them, or takes it away where all have it."""
    tag = tag_of(kind)
    all_have = all(tag in space.remark(name).tags for name in names)
    writes = space.session.stored.writes
    st.button(
        f"Take the tag “{literal(tag)}” away" if all_have else f"Tag them “{literal(tag)}”",
        key=f"tag_{code}",
        icon=":material/label_off:" if all_have else ":material/label:",
        on_click=put,
        args=(space, tuple(names), tag, not all_have),
        disabled=not writes,
        help=(
            "On all images of this finding; the gallery, the table and exports have it."
            if writes
            else "This workspace is only shown to you: who may edit it can set tags."
        ),
    )


def put(space: Workspace, names: Sequence[str], tag: str, on: bool) -> None:
    """Give a tag to images, or take it away; other tags and notes stay."""
    for name in names:
        said = space.remark(name)
        tags = [one for one in said.tags if one != tag]
        made = replace(said, tags=remarks.tidy([*tags, tag] if on else tags))
        if made:
            space.session.remarks[name] = made
        else:
            space.session.remarks.pop(name, None)
