"""What the server does once, before the first visitor is served."""

from __future__ import annotations

import os

import streamlit as st
import torch

from attnlib.dashboard.state import garbage


@st.cache_resource(max_entries=1, show_spinner=False)
def once() -> bool:
    """Settle the process: threads of a pass, and what the garbage collector looks at."""
    threads = os.environ.get("ATTNLIB_THREADS")
    if threads:
        torch.set_num_threads(int(threads))
    garbage.keep_settled()
    return True
