"""What the server does once, before the first visitor is served."""

from __future__ import annotations

import atexit
import gc
import os

import streamlit as st
import torch


@st.cache_resource(max_entries=1, show_spinner=False)
def once() -> bool:
    """Settle the process: threads of a pass, and what the garbage collector looks at."""
    threads = os.environ.get("ATTNLIB_THREADS")
    if threads:
        torch.set_num_threads(int(threads))
    settle()
    # Extensions that look for leaks when the process ends would report all that is frozen.
    atexit.register(gc.unfreeze)
    return True


def settle() -> None:
    """Move all that lives now out of the collector's sight.

    Streamlit collects garbage after every run; with torch loaded that takes a third of a second
    each time unless the objects that will never die are frozen.
    """
    gc.collect()
    gc.freeze()
