"""What of another evaluation goes into the session: labels, tags, notes, corrected labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from attnlib.audit.joined import Joined
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data import remarks
from attnlib.data.class_names import resolve_class
from attnlib.data.remarks import Remark
from attnlib.data.results import Results
from attnlib.data.text import counted

# As many characters as the field for a note takes.
LONGEST_NOTE: Final = 2000


def show(space: Workspace, found: Joined, results: Results) -> None:
    """A button for each kind that the results have, of the session's images."""
    labels = {n: text for n, text in labels_of(found).items() if _differs(space, n, text)}
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
        said(found, results, space.vit.class_names, space.remark, space.session.remarks.update)


def said(
    found: Joined,
    results: Results,
    class_names: Sequence[str],
    known: Callable[[str], Remark],
    take: Callable[[dict[str, Remark]], None],
) -> None:
    """A button for tags, notes and corrected labels, where there are new ones.

    Args:
        known: what is said of an image here.
        take: keeps what is said by name from then on; called beside no drawing.
    """
    made = remarks_of(found, results, class_names, known)
    new = {name: one for name, one in made.items() if one != known(name)}
    if new:
        st.button(
            f"Take its tags, notes and corrections ({counted(len(new), 'image')})",
            key="elsewhere_remarks",
            icon=":material/sell:",
            on_click=take,
            args=(new,),
            help="They join the tags that are there; the images can be filtered by them.",
        )


def _differs(space: Workspace, name: str, text: str) -> bool:
    now = space.labels.labels.get(name)
    return now is None or space.vit.class_names[now] != text


def labels_of(found: Joined) -> dict[str, str]:
    """Image -> class name of its label in the results, of those that name a class."""
    rows = found.table[found.table["given"] != ""]
    return dict(zip(rows["name"], rows["given"], strict=True))


def remarks_of(
    found: Joined,
    results: Results,
    class_names: Sequence[str],
    known: Callable[[str], Remark],
) -> dict[str, Remark]:
    """Image -> what is said of it here and there together; what is said here goes first."""
    if not any(results.has(column) for column in ("tags", "note", "corrected")):
        return {}
    made: dict[str, Remark] = {}
    rows = results.table.iloc[found.places]
    for name, row in zip(found.table["name"], rows.to_dict("records"), strict=True):
        if not (row["tags"] or row["note"] or row["corrected"]):
            continue
        now = known(name)
        index = resolve_class(row["corrected"], class_names) if row["corrected"] else None
        made[name] = replace(
            now,
            tags=remarks.tidy([*now.tags, *row["tags"]]),
            note=now.note or row["note"][:LONGEST_NOTE],
            should_be=now.should_be or ("" if index is None else class_names[index]),
        )
    return made
