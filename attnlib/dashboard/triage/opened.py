"""Which image is opened, and going from one to the next in the gallery's order."""

from __future__ import annotations

import streamlit as st

IMAGE, LAST = "image", "gallery_last"


def open_image(name: str) -> None:
    """Open an image, and remember where to come back to."""
    st.session_state[IMAGE] = st.session_state[LAST] = name


def close() -> None:
    """Back to the gallery, where this image was."""
    st.session_state[IMAGE] = None


def last() -> str:
    """The image that was opened last; "" for none."""
    found: str = st.session_state.get(LAST, "")
    return found
