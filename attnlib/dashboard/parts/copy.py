"""A button that copies the address of the page to the clipboard."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_CSS = """
button { font: 400 .875rem var(--st-font); color: var(--st-text-color); cursor: pointer;
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: .5rem; min-height: 2.5rem; padding: .25rem .75rem; white-space: nowrap; }
button:hover, button:focus-visible { border-color: var(--st-primary-color);
  color: var(--st-primary-color); outline: none; }
"""
_COMPONENT = st.components.v2.component(
    "attnlib_copy",
    html='<button type="button"></button>',
    css=_CSS,
    js=Path(__file__).with_name("copy.js").read_text(),
)


def address(label: str, *, key: str, help: str) -> None:
    """Copy the address of the page."""
    _COMPONENT(
        key=key,
        data={"label": label, "help": help},
        width="content",
        height="content",
    )
