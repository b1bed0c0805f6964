"""What of another evaluation goes into the session: labels, tags, notes, corrected labels."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from attnlib.audit.joined import Joined
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import remarks
from attnlib.data.class_names import resolve_class
from attnlib.data.remarks import Remark
from attnlib.data.results import Results
from attnlib.data.text import counted


def show(space: Workspace, found: Joined, results: Results) -> None:
    """A button for each kind that the results have."""
    labels, said = labels_of(found), remarks_of(space, found, results)
    labels = {name: text for name, text in labels.items() if _differs(space, name, text)}
    said = {name: one for name, one in said.items() if one != space.remark(name)}
    if not labels and not said:
        return
    with st.container(horizontal=True, gap="small"):
        if labels:
            st.button(
                f"Take its labels ({len(labels):,} new)",
                key="elsewhere_labels",
                icon=":material/label:",
                on_click=lambda: space.session.manual.update(
                    {name: (text,) for name, text in labels.items()}
                ),
                help="Of the images that have another label here, or none. Each can be changed "
                "under “Labels”.",
            )
        if said:
            st.button(
                f"Take its tags, notes and corrections ({counted(len(said), 'image')})",
                key="elsewhere_remarks",
                icon=":material/sell:",
                on_click=lambda: space.session.remarks.update(said),
                help="They join the tags that are there; the gallery filters by them.",
            )


def _differs(space: Workspace, name: str, text: str) -> bool:
    now = space.labels.labels.get(name)
    return now is None or space.vit.class_names[now] != text


def labels_of(found: Joined) -> dict[str, str]:
    """Image -> class name of its label in the results, of those that name a class."""
    rows = found.table[found.table["given"] != ""]
    return dict(zip(rows["name"], rows["given"], strict=True))


def remarks_of(space: Workspace, found: Joined, results: Results) -> dict[str, Remark]:
    """Image -> what is said of it here and there together."""
    made: dict[str, Remark] = {}
    rows = results.table.iloc[found.places]
    for name, row in zip(found.table["name"], rows.to_dict("records"), strict=True):
        if not (row["tags"] or row["note"] or row["corrected"]):
            continue
        now = space.remark(name)
        index = resolve_class(row["corrected"], space.vit.class_names) if row["corrected"] else None
        made[name] = replace(
            now,
            tags=remarks.tidy([*now.tags, *row["tags"]]),
            note=now.note or row["note"][:2000],
            should_be=now.should_be or ("" if index is None else space.vit.class_names[index]),
        )
    return made
