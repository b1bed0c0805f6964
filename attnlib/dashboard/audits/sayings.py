"""What is said of an audit's images: kept beside it where that is allowed, else in this tab."""

from __future__ import annotations

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.dashboard.state import audits, people
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.remarks import Remark

# Of the images that were taken into the session out of an audit: what was said of them there.
_TAKEN = "audit_taken"
# What is said in this tab of an audit beside which it may not be written.
_HERE = "audit_said_here"


def kept(found: Opened) -> bool:
    """Whether it stays: on one's own machine, by those who may edit, and of one's own images."""
    if found.held:
        return True
    if people.sign_in_is_on():
        return people.person().role in ("editor", "admin")
    return audits.any_folder()


def remarks(space: Workspace, found: Opened) -> dict[str, Remark]:
    """By name of the image; what was said where it is looked at with maps counts, too."""
    if found.held:
        return {name: one for name, one in space.session.remarks.items() if one}
    _bring_back(space, found)
    return _known(found)


def say(space: Workspace, found: Opened, name: str, before: Remark, after: Remark) -> None:
    """Say something else of an image, here and where it is looked at with maps."""
    if found.held:
        _in_session(space, name, after)
        return
    if kept(found):
        after = audits.said(found.folder.url).change(name, before, after)
    else:
        _of(_HERE, found)[name] = after
    taken = _of(_TAKEN, found)
    if name in taken:
        taken[name] = after
        _in_session(space, name, after)


def took(space: Workspace, found: Opened, names: list[str]) -> None:
    """Images are looked at in the session from now on, with what was said of them."""
    said = _known(found, now=True)
    for name in names:
        _of(_TAKEN, found)[name] = remark = said.get(name, Remark())
        _in_session(space, name, remark)


def _known(found: Opened, *, now: bool = False) -> dict[str, Remark]:
    every = {**audits.said(found.folder.url).all(now=now), **_of(_HERE, found)}
    return {name: remark for name, remark in every.items() if remark}


def _bring_back(space: Workspace, found: Opened) -> None:
    """What was said in the session of images of this audit."""
    taken = _of(_TAKEN, found)
    for name in [name for name in taken if name in space.by_name]:
        before, after = taken[name], space.session.remarks.get(name, Remark())
        if after != before:
            say(space, found, name, before, after)


def _in_session(space: Workspace, name: str, remark: Remark) -> None:
    if remark:
        space.session.remarks[name] = remark
    else:
        space.session.remarks.pop(name, None)


def _of(place: str, found: Opened) -> dict[str, Remark]:
    every: dict[str, dict[str, Remark]] = st.session_state.setdefault(place, {})
    return every.setdefault(found.folder.url, {})
