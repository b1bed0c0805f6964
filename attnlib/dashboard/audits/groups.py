"""Groups of images that fail more than the others, found on one half and tested on the other."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.audit.slices import LEVEL, Slice, slices
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.methods.base import Progress


@dataclass(frozen=True)
class Found:
    """What fails, of how many groups."""

    slices: list[Slice]
    tried: int


def show(space: Workspace, found: Opened) -> None:
    """The announced groups, or that there is none."""
    st.caption(
        "Each group (a class, a folder, small or large, wide or high, how the readout looks) is "
        "searched on half of the images; those with more mistakes there are "
        f"tested on the other half. Announced at a false discovery rate of {LEVEL:.0%}."
    )
    answer = tasks.run(
        "audit_groups",
        (found.folder.url, found.manifest.listing, found.done),
        lambda progress: search(found, progress),
        button="Look for groups that fail",
        help="Reads the labels, predictions and properties of every image.",
        eager=True,
    )
    if answer is None:
        return
    if not answer.slices:
        st.success(
            f"**No group fails more than the others** by more than chance: "
            f"{counted(answer.tried, 'group was', 'groups were')} looked at.",
            icon=":material/check_circle:",
        )
        return
    st.markdown(
        f"**{counted(len(answer.slices), 'group fails', 'groups fail')}** more than the others, "
        f"of {answer.tried:d} looked at:"
    )
    for one in answer.slices[:20]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(literal(one.sentence), width="stretch")
            if one.by == "true class":
                st.button(
                    "Images",
                    key=f"group_{one.by}_{one.value}",
                    type="tertiary",
                    icon=":material/arrow_forward:",
                    on_click=_open,
                    args=(one.value,),
                    help="Its mistakes.",
                )
    downloads.table(lambda: [row(one) for one in answer.slices], "audit-groups")


def search(found: Opened, progress: Progress) -> Found:
    """The groups of an audit that fail."""
    progress(0, 1)
    tallies, every = found.tallies()
    return Found(slices(tallies, every), len(tallies))


def row(one: Slice) -> dict[str, object]:
    """A group as a line of a table."""
    low, high = one.interval
    return {
        "by": one.by,
        "group": one.value,
        "held-out images": one.images,
        "wrong": one.wrong,
        "error rate": one.rate,
        "from": low,
        "to": high,
        "others": one.rest,
        "p": one.p_value,
        "false discovery rate": one.q_value,
        "groups tried": one.tried,
    }


def _open(label: str) -> None:
    st.session_state["audit_label"] = label
    st.session_state["audit_predicted"] = None
    st.session_state["audit_outcome"] = "wrong"
    st.session_state["audit_view"] = "Images"
