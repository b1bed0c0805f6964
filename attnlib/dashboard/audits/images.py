"""The images of an audit, filtered and sorted, and the way of some of them into the dashboard."""

from __future__ import annotations

import csv
import io
from collections.abc import Hashable, Mapping

import pandas as pd
import streamlit as st
from PIL import Image

from attnlib.audit.opened import OUTCOMES, SORTS, Opened, Sort, Where
from attnlib.dashboard.audits import narrowed, saying, sayings
from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, startup
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.image import decode
from attnlib.data.remarks import Remark
from attnlib.data.text import counted
from attnlib.errors import AttnlibError
from attnlib.pictures.overlay import data_uri, png_bytes

PER_PAGE, SIDE = 24, 64
GALLERY = startup.PAGES / "prediction_debugging" / "page.py"
LABELS = "labels of the audit.csv"
_GO, _PROBLEM = "audit_go", "audit_problem"


def show(space: Workspace, found: Opened) -> None:
    """The filters, a page of rows with their pictures, and what to do with them."""
    messages()
    said = sayings.remarks(space, found)
    chosen, sort, descending = _choose(found, said)
    where = narrowed.narrow(space, found, chosen)
    if where is None:
        return
    count = found.count(where)
    if not count:
        st.info("No image of the audit fits these filters.")
        return
    pages = -(-count // PER_PAGE)
    # Which page comes first, and its choice stands below: a link may name one.
    above = st.container()
    page = controls.page("audit_page", pages, of=(where, sort, descending))
    frame = found.page(
        where, sort, descending=descending, first=(page - 1) * PER_PAGE, count=PER_PAGE
    )
    with above:
        st.caption(
            f"{counted(count, 'image')}; a page of {len(frame)}. Choose rows to look at them."
        )
        rows = _table(found, frame, said)
    names = [frame["name"].iloc[row] for row in rows if row < len(frame)]
    if names:
        saying.show(space, found, said, names)
    names = names or list(frame["name"])
    look(space, found, names, words="these" if rows else "all of this page")


def messages() -> None:
    """Go where images were taken, or say why they were not."""
    if st.session_state.pop(_GO, False):
        st.switch_page(GALLERY)
    if text := st.session_state.pop(_PROBLEM, ""):
        st.warning(literal(text))


def look(
    space: Workspace, found: Opened, names: list[str], key: str = "audit_look", words: str = "these"
) -> None:
    """A button that takes images into the session."""
    st.button(
        f"Look at {words} ({len(names)}) with maps",
        key=key,
        icon=":material/troubleshoot:",
        on_click=take,
        args=(space, found, names),
        help="Loads the images with their labels beside yours, and opens “Prediction debugging”, "
        "with the model that is chosen in the sidebar.",
    )


def _choose(found: Opened, said: Mapping[str, Remark]) -> tuple[Where, Sort, bool]:
    names = list(found.manifest.class_names)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        outcome = controls.segments(
            "audit_outcome", "Outcome", OUTCOMES, title=str.capitalize, help="What became of it."
        )
        label = controls.maybe(
            "audit_label", "True class", names, placeholder="any", width=200, help="By its label."
        )
        predicted = controls.maybe(
            "audit_predicted", "Predicted", names, placeholder="any", width=200, help="As it says."
        )
        text = controls.text("audit_text", "Name contains", help="Part of the path, any case.")
        tags = sorted({tag for one in said.values() for tag in one.tags})
        tag = (
            controls.maybe(
                "audit_tag",
                "Tag",
                tags,
                placeholder="any",
                width=160,
                help="What somebody said of it.",
            )
            if tags
            else None
        )
        sort = controls.choice(
            "audit_sort", "Sort by", SORTS, title=lambda one: one.replace("_", " "), width=180,
            help="Equal ones by name.",
        )  # fmt: skip
        descending = not controls.toggle(
            "audit_ascending", "Smallest first", help="The other way round."
        )
    named = tuple(sorted(name for name, one in said.items() if tag in one.tags)) if tag else None
    return Where(outcome, label or "", predicted or "", text, names=named), sort, descending


def _table(found: Opened, frame: pd.DataFrame, said: Mapping[str, Remark]) -> list[int]:
    """The rows with small pictures; which are chosen."""
    shown = frame.copy()
    shown["image"] = pd.Series(thumbnails(found, list(frame["name"])), dtype=object)
    known = [said.get(name, Remark()) for name in frame["name"]]
    shown["tags"] = [", ".join(one.tags) for one in known]
    shown["note"], shown["should be"] = (
        [getattr(one, part) for one in known] for part in ("note", "should_be")
    )
    columns = ["image", "name", "label", "predicted", "confidence", "probability_true", "loss"]
    if frame["error"].notna().any():
        columns.append("error")
    columns += [name for name in ("tags", "note", "should be") if shown[name].any()]
    event = st.dataframe(
        shown[columns],
        hide_index=True,
        row_height=SIDE + 8,
        height=640,
        key="audit_table",
        on_select="rerun",
        selection_mode="multi-row",
        column_config={
            "image": st.column_config.ImageColumn("image", width="small"),
            "label": "true class",
            "confidence": st.column_config.ProgressColumn(
                "confidence", min_value=0, max_value=1, format="percent"
            ),
            "probability_true": st.column_config.NumberColumn(
                "of the true class", format="percent"
            ),
            "loss": st.column_config.NumberColumn(
                "loss (nats)",
                format="%.3f",
                help="0 where the true class is given all of the probability; the larger, the "
                "less it is given: its negative natural logarithm.",
            ),
        },
    )
    return list(event.selection.rows)


def thumbnails(found: Opened, names: list[str]) -> list[str | None]:
    """Small pictures of images as data URIs; None where one cannot be read.

    Where they lie is asked once for all that are missing.
    """

    def key(name: str) -> Hashable:
        return "audit thumbnail", *found.stamp[:2], name

    made: dict[str, str | None] = {name: results.kept(key(name)) for name in names}
    missing = [name for name, picture in made.items() if picture is None]
    try:
        for entry, data in found.images(missing) if missing else ():
            made[entry.name] = picture = None if isinstance(data, Exception) else _small(data)
            if picture is not None:
                results.keep(key(entry.name), picture)
    except AttnlibError:
        pass  # the source is gone: what is kept is shown, the others are not
    return [made[name] for name in names]


def _small(data: bytes) -> str | None:
    try:
        picture = decode(data)
    except AttnlibError:
        return None
    picture.thumbnail((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS)
    return data_uri(png_bytes(picture), "image/png")


def take(space: Workspace, found: Opened, names: list[str]) -> None:
    """Load images with their labels into the session, as if they had been uploaded."""
    if found.held:
        st.session_state["image"] = names[0] if len(names) == 1 else None
        st.session_state[_GO] = True
        return
    files, rows = [], []
    labels = found.labels(names)
    for entry, data in found.images(names):
        if isinstance(data, bytes):
            files.append((entry.name, data))
            if labels.get(entry.name):
                rows.append((entry.name, labels[entry.name]))
    if not files:
        st.session_state[_PROBLEM] = "None of these images can be read from the source."
        return
    if rows:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerows([("filename", "label"), *rows])
        files.append((LABELS, text.getvalue().encode()))
    space.session.take(files)
    sayings.took(space, found, [name for name, _ in files if name != LABELS])
    st.session_state[_GO] = True
