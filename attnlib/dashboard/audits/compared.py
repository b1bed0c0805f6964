"""Two audits of one set: what the other model repairs and breaks, by slice, and the images."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.audit.regress import CATEGORIES, LEVEL, Compared, Group, compare
from attnlib.audit.where import Group as Slice
from attnlib.dashboard.audits import another
from attnlib.dashboard.audits.images import PER_PAGE, SIDE, thumbnails
from attnlib.dashboard.audits.narrowed import Groups
from attnlib.dashboard.parts import address, controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted

GROUP, TABLE = "compared_group", "compared_groups"
ANY = "all"


def show(space: Workspace, found: Opened) -> None:
    """The other audit, the numbers of both, the slices, the images."""
    other = another.choose(
        "audit_other", "Other audit", found, "Of another model on the same images."
    )
    if other is None:
        return
    answer = tasks.run(
        "audit_compared",
        (*found.stamp, *other.stamp),
        lambda progress: compare(found, other),
        button="Compare",
        help="Reads the labels and predictions of every image of both.",
        eager=True,
    )
    if answer is None:
        return
    _numbers(answer)
    _slices(answer)
    _images(found, answer)


def _numbers(answer: Compared) -> None:
    every = answer.all
    st.markdown(
        f"Of **{every.images:,}** images the other model repairs **{every.fixed:,}** and breaks "
        f"**{every.broken:,}**; **{every.both_wrong:,}** are wrong with both, "
        f"**{every.still_right:,}** right with both. So uneven a split "
        f"{'is not' if every.p_value <= LEVEL else 'may be'} chance (p {every.p_value:.2g})."
    )
    if worse := [one for one in answer.regressions if one.by != "all"]:
        names = "; ".join(one.words for one in worse[:8])
        more = f" and {len(worse) - 8} more" if len(worse) > 8 else ""
        st.warning(
            f"**{counted(len(worse), 'slice gets', 'slices get')} worse** by more than chance: "
            f"{literal(names)}{more}.",
            icon=":material/trending_down:",
        )
    else:
        st.success("No slice gets worse by more than chance.", icon=":material/check_circle:")
    if answer.alone:
        st.caption(f"{counted(answer.alone, 'image')} not compared: only one audit has or labels"
                   f" {'it' if answer.alone == 1 else 'them'}.")  # fmt: skip


def _slices(answer: Compared) -> None:
    frame = pd.DataFrame([row(one) for one in answer.groups])
    st.dataframe(
        frame,
        hide_index=True,
        height=min(35 * (len(frame) + 1) + 3, 390),
        key=TABLE,
        on_select=lambda: _narrow(answer),
        selection_mode="single-row",
        column_config={
            "p": st.column_config.NumberColumn(format="%.2g"),
            "false discovery rate": st.column_config.NumberColumn(format="%.2g"),
        },
    )
    st.caption(
        "Each class, folder and end of a property, those that changed most surely first; a click "
        "shows its images. p is how likely so uneven a split is by chance (McNemar's exact test); "
        "of groups up to a false discovery rate of 0.05, about one in twenty is named by chance."
    )
    downloads.table(lambda: [row(one) for one in answer.groups], "audits-compared")


def row(one: Group) -> dict[str, object]:
    """A group as a line of a table."""
    return {
        "by": one.by,
        "group": one.value,
        "images": one.images,
        "fixed": one.fixed,
        "broken": one.broken,
        "both wrong": one.both_wrong,
        "still right": one.still_right,
        "p": one.p_value,
        "false discovery rate": one.q_value,
    }


def _narrow(answer: Compared) -> None:
    rows = st.session_state[TABLE].selection.rows
    if rows and 0 <= rows[0] < len(answer.groups):
        one = answer.groups[rows[0]]
        st.session_state[GROUP] = ((one.by, one.value),)
    else:
        st.session_state[GROUP] = ()
    st.session_state["compared_page"] = 1


def _images(found: Opened, answer: Compared) -> None:
    wanted = address.value(GROUP, (), Groups(), label="Group")
    listed: dict[Slice, Group] = {((one.by, one.value),): one for one in answer.groups}
    if wanted and wanted not in listed:
        st.warning("The group of the link is none of these two audits; shown are all images.")
    group = listed.get(wanted, answer.all)
    st.subheader("Images")
    category = controls.segments(
        "compared_category",
        "What became of them",
        (*CATEGORIES, ANY),
        title=str.capitalize,
        help="Broken: right here, wrong with the other model. Fixed: the other way round.",
    )
    table = answer.of(group, "" if category == ANY else category)
    if table.empty:
        st.info("No image of this group.")
        return
    pages = -(-len(table) // PER_PAGE)
    # Which page comes first, and its choice stands below: a link may name one.
    above = st.container()
    of = (wanted, category)
    place = controls.page("compared_page", pages, of=of)
    part = table.iloc[(place - 1) * PER_PAGE : place * PER_PAGE]
    with above:
        st.caption(
            f"{counted(len(table), 'image')} of **{literal(group.words)}**; a page of {len(part)}."
        )
        _rows(found, part)
    downloads.table(
        lambda: [{str(k): v for k, v in line.items()} for line in
                 table[["name", "label", "first", "second", "category"]].to_dict("records")],
        "audits-compared-images",
    )  # fmt: skip


def _rows(found: Opened, part: pd.DataFrame) -> None:
    """Images with what both models say of them."""
    shown = part[["name", "label", "first", "second", "category"]].copy()
    shown.insert(0, "image", pd.Series(thumbnails(found, list(part["name"])), part.index, object))
    st.dataframe(
        shown,
        hide_index=True,
        row_height=SIDE + 8,
        height=min(640, (SIDE + 8) * len(shown) + 40),
        key="compared_images",
        column_config={
            "image": st.column_config.ImageColumn("image", width="small"),
            "label": "true class",
            "first": "this audit says",
            "second": "the other says",
            "category": "what became of it",
        },
    )
