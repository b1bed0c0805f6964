"""The images that a visitor brings, and the way back to those of the demo."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from attnlib.dashboard.parts import controls
from attnlib.dashboard.state import storage
from attnlib.dashboard.state.session import Session
from attnlib.data.paths import IMAGE_ENDINGS

IMAGE_TYPES = [ending.removeprefix(".") for ending in IMAGE_ENDINGS]


NOT_KEPT = "They stay in this tab and are never written to disk."
KEPT = "They are kept in this workspace until it is deleted."
# As many are listed one by one; more of them are one entry.
LISTED = 12


def show(visitor: Session) -> None:
    """Add files to the session and take them away; a way back to the demo images."""
    folder = controls.segments(
        "upload_kind",
        "Add",
        ["Files", "Folder"],
        label_visibility="collapsed",
        linked=False,
        help="A folder's sub-folders are taken as labels.",
    )
    key = f"images_{visitor.uploader}_{folder}"
    files = st.file_uploader(
        "Images, a zip of folders, and a CSV of labels",
        type=[*IMAGE_TYPES, "zip", "csv", "tsv", "json"],
        accept_multiple_files="directory" if folder == "Folder" else True,
        key=key,
        help=(
            "Images, or a zip whose folders are labels, and optionally a CSV with the columns "
            "filename,label, masks (cat_mask.png for cat.jpg), or COCO annotations as JSON. What "
            "you add joins what is there; the cross behind a file takes it away. "
            + (
                KEPT
                if not storage.off()
                else "They stay in this tab and are never written to disk."
            )
        ),
    )
    _follow(visitor, key, files or [])
    _earlier(visitor)
    if visitor.files and st.button("Back to the demo images", width="stretch"):
        visitor.back_to_demo()
        st.rerun()


def _follow(visitor: Session, key: str, files: list[UploadedFile]) -> None:
    """Copy what is new in the uploader into the session, and take away what is gone from it."""
    before, shown = visitor.shown
    if before != key:
        # Another uploader begins empty, which takes nothing away.
        shown = {}
    now = {file.file_id: file for file in files}
    gone = [number for name, number in shown.items() if name not in now]
    new = [file for name, file in now.items() if name not in shown]
    visitor.drop(gone)
    numbers = visitor.take([(file.name, file.getvalue()) for file in new]) if new else []
    added = dict(zip((file.file_id for file in new), numbers, strict=True))
    kept = {name: number for name, number in shown.items() if name in now}
    visitor.shown = key, {**kept, **added}


def _earlier(visitor: Session) -> None:
    """What was added before and is in no uploader any more, each with a cross behind it."""
    shown = set(visitor.shown[1].values())
    groups = _grouped({n: file.name for n, file in visitor.files.items() if n not in shown})
    if not groups:
        return
    key = f"earlier_{visitor.uploader}_{max(max(numbers) for numbers in groups.values())}"
    stay = st.multiselect(
        "Added before",
        list(groups),
        default=list(groups),
        key=key,
        wrap=True,
        help="The cross behind an entry takes it away.",
    )
    gone = [number for title, numbers in groups.items() if title not in stay for number in numbers]
    if gone:
        visitor.drop(gone)
        st.rerun()


def _grouped(names: dict[int, str]) -> dict[str, list[int]]:
    """Numbers of files by what they are called in the list: a folder is one entry."""
    groups: dict[str, list[int]] = {}
    for number, name in names.items():
        top, inside, _ = name.partition("/")
        groups.setdefault(f"{top}/" if inside else top, []).append(number)
    if len(groups) > LISTED:
        return {f"{len(names)} files": list(names)}
    return {
        f"{title} ({len(numbers)} files)" if len(numbers) > 1 else title: numbers
        for title, numbers in groups.items()
    }
