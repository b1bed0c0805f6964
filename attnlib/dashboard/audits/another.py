"""The choice of an audit beside the one that is open."""

from __future__ import annotations

import streamlit as st

from attnlib.audit.opened import Opened
from attnlib.dashboard.parts import controls
from attnlib.dashboard.state import audits


def choose(key: str, label: str, found: Opened, help: str) -> Opened | None:
    """Another audit; None before one is chosen, which is said.

    Raises:
        AttnlibError: it cannot be opened.
    """
    named = [url for url in audits.named() if url != found.folder.url]
    chosen: str | None = None
    if named:
        chosen = controls.maybe(key, label, named, help=help, placeholder="choose an audit")
    elif audits.any_folder():
        chosen = controls.text(
            f"{key}_folder",
            label,
            help=help + " A path or a URL, as “attnlib audit --out” was given.",
            placeholder="audits/other",
        ).strip()
    else:
        st.info("This server shows no other audit.")
        return None
    if not chosen:
        st.info("Choose the other audit above.")
        return None
    other = audits.get(chosen)
    if not other.done:
        st.info("No part of that audit is written yet.")
        return None
    return other
