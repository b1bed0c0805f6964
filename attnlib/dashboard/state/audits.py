"""The audits that can be looked at: those of the server, and on one's own machine any folder."""

from __future__ import annotations

import streamlit as st

from attnlib import settings
from attnlib.audit.opened import Opened
from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.said import Said
from attnlib.dashboard.state import models
from attnlib.errors import AttnlibError

# Opened audits hold connections and metadata, no rows.
KEPT = 8


def named() -> tuple[str, ...]:
    """Folders that whoever runs this chose to show."""
    return settings.current().audits


def any_folder() -> bool:
    """Whether a visitor may name a folder: only where the server serves nobody else."""
    return models.local_files_allowed()


def get(url: str) -> Opened:
    """An audit; of a running one, with the parts that are there by now.

    Raises:
        AttnlibError: it may not be opened here, there is none, or it cannot be read.
    """
    if url not in named() and not any_folder():
        raise AttnlibError("This server shows the audits that its operator chose, and no others.")
    found = _opened(url)
    if not found.whole:
        found.refresh()
    return found


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def said(url: str) -> Said:
    """What people said of the images of an audit that may be opened, see :func:`get`."""
    return Said(Folder(url))


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _opened(url: str) -> Opened:
    return Opened(url)
