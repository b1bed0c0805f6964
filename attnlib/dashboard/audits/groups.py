"""Groups of images that fail more than the others, found on one half and tested on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.audit.slices import LEVEL, Slice, slices
from attnlib.audit.where import Key, words
from attnlib.dashboard.audits import narrowed
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.methods.base import Progress

SHOWN = 20


@dataclass(frozen=True)
class Found:
    """What fails, of how many groups.

    Attributes:
        words: of each slice, what it is a group of.
    """

    slices: list[Slice]
    words: list[str]
    tried: int


def show(space: Workspace, found: Opened) -> None:
    """The announced groups, or that there is none."""
    st.caption(
        "A group is a class, a folder, images alike to the model (a cluster), two classes "
        "between which it is undecided, both ends of what images are like (brightness, sharpness, "
        "size, …), two of these together, or what you tagged. Groups are searched on half of the "
        "images; those with more mistakes there are tested on the other half. Announced at a false "
        f"discovery rate of {LEVEL:.0%}: of those named, about so many may be chance. Copies of "
        "one image count as several: remove them first."
    )
    marks = narrowed.marks(space, found)
    said = tuple((key, tuple(names)) for key, names in marks.items())
    answer = tasks.run(
        "audit_groups",
        (*found.stamp, said),
        lambda progress: search(found, marks, progress),
        button="Look for groups that fail",
        help="Reads the labels, predictions, properties and embeddings of every image.",
        eager=True,
        shared=True,
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
    if any(by in (narrowed.TAG, narrowed.FINDING) for one in answer.slices for by, _ in one.group):
        st.caption(
            "Tags and findings are often given to mistakes: that such a group fails may only say "
            "how its images were chosen."
        )
    for one, said_of in list(zip(answer.slices, answer.words, strict=True))[:SHOWN]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{literal(said_of)}**: {literal(one.numbers)}", width="stretch")
            st.button(
                "Images",
                key=f"group_{one.group}",
                type="tertiary",
                icon=":material/arrow_forward:",
                on_click=narrowed.to,
                args=(one.group,),
                help="Its mistakes, in both halves.",
            )
    if len(answer.slices) > SHOWN:
        st.caption(f"The surest {SHOWN}; all are in the table.")
    downloads.table(lambda: [row(one) for one in answer.slices], "audit-groups")


def search(found: Opened, marks: Mapping[Key, Sequence[str]], progress: Progress) -> Found:
    """The groups of an audit that fail."""
    progress(0, 1)
    found.clusters(progress)
    tallies, every = found.tallies(marks, clustered=True)
    announced = slices(tallies, every)
    named = [" and ".join(narrowed.described(found, one.group)) for one in announced]
    return Found(announced, named, len(tallies))


def row(one: Slice) -> dict[str, object]:
    """A group as a line of a table."""
    low, high = one.interval
    return {
        "by": " and ".join(by for by, _ in one.group),
        "group": words(one.group),
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
