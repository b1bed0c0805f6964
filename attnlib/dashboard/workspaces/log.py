"""For admins: what happened on this server, and what one's workspaces take up."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from attnlib import settings
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.state import people, storage
from attnlib.dashboard.state.workspace import Workspace

# Lines that are shown; the file has more.
SHOWN, MOST = 200, 100_000
_COLUMNS = ("at", "person", "what", "workspace", "detail")


def show(space: Workspace) -> None:
    """Use and limits, then the audit log."""
    me, limit = people.person(), settings.current()
    usage = storage.store().usage(me)
    st.caption(
        f"Your workspaces hold {usage.images:,} images of {limit.max_images:,} and "
        f"{usage.bytes / 1e9:.2f} GB of {limit.max_bytes / 1e9:.0f}. One person may have "
        f"{limit.max_jobs} computations and {limit.max_models} models at a time. Whoever runs the "
        "server sets these."
    )
    st.markdown("#### Audit log")
    st.caption("Sign-ins, shares, exports and deletions, the newest first.")
    st.dataframe(pd.DataFrame(_rows(SHOWN), columns=list(_COLUMNS)), hide_index=True)
    downloads.table(lambda: _rows(MOST), "audit-log", "Whole log (CSV)")


def _rows(limit: int) -> list[dict[str, object]]:
    events = storage.store().events(people.person(), limit)
    return [
        {
            "at": event.at,
            "person": event.person_name,
            "what": event.what,
            "workspace": event.workspace,
            "detail": event.detail,
        }
        for event in events
    ]
