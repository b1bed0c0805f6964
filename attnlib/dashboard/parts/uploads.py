"""The images that a visitor brings, and the way back to those of the demo."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from attnlib.dashboard.parts import controls
from attnlib.dashboard.state.session import Session
from attnlib.data.paths import IMAGE_ENDINGS

IMAGE_TYPES = [ending.removeprefix(".") for ending in IMAGE_ENDINGS]


def show(visitor: Session) -> None:
    """Take files into the session; a way back to the demo images."""
    folder = controls.segments(
        "upload_kind",
        "Add",
        ["Files", "Folder"],
        label_visibility="collapsed",
        linked=False,
        help="A folder's sub-folders are taken as labels.",
    )
    files = st.file_uploader(
        "Images, a zip of folders, and a CSV of labels",
        type=[*IMAGE_TYPES, "zip", "csv", "tsv", "json"],
        accept_multiple_files="directory" if folder == "Folder" else True,
        key=f"images_{visitor.uploader}_{folder}",
        help=(
            "Images, or a zip whose folders are labels, and optionally a CSV with the columns "
            "filename,label, masks (cat_mask.png for cat.jpg), or COCO annotations as JSON. They "
            "stay in this session and are never written to disk."
        ),
    )
    _take(visitor, files or [])
    if visitor.own and st.button("Back to the demo images", width="stretch"):
        visitor.back_to_demo()
        st.rerun()


def _take(visitor: Session, files: list[UploadedFile]) -> None:
    """Copy new uploads into the session, once."""
    seen = tuple(file.file_id for file in files)
    if not files or seen == visitor.uploads_seen:
        return
    visitor.uploads_seen = seen
    visitor.take([(file.name, file.getvalue()) for file in files])
