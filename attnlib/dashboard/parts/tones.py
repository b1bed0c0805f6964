"""Colours of words that can be read in both themes, which no one colour is.

WCAG 2.2 AA asks for a contrast of 4.5 to 1. ``light-dark`` follows the theme of the page, whether
the system or the visitor chose it.
"""

from __future__ import annotations

import streamlit as st

GOOD = "light-dark(#00735a, #2fc39a)"
BAD = "light-dark(#b04a00, #f0803c)"
NEUTRAL = "light-dark(#5b6672, #9aa7b4)"
# On a button of the primary colour, which is dark in the light theme and light in the dark one.
ON_PRIMARY = "light-dark(#ffffff, #10161d)"


def apply() -> None:
    """Have main buttons use our words' colour: Streamlit writes white on any of them."""
    st.html(f'<style>[data-testid^="stBaseButton-primary"] {{ color: {ON_PRIMARY}; }}</style>')
