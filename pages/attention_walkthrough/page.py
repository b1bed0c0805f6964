"""Attention walk-through: one attention computation, with the loaded model's real numbers."""

import streamlit as st

from attnlib.dashboard.parts import chosen
from attnlib.dashboard.state import workspace
from attnlib.dashboard.walk import page

space = workspace.current()

st.title("Attention walk-through")
part = page.part()
if part == "Playground":
    page.words()
else:
    prediction = chosen.strip(space)
    if prediction is not None:
        page.show(space, prediction, part)
