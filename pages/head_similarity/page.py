"""Head similarity: what heads do to a mistake, which of them are alike, and which stand out."""

import streamlit as st

from attnlib.dashboard.heads import page
from attnlib.dashboard.parts import chosen
from attnlib.dashboard.state import workspace

space = workspace.current()

st.title("Head similarity")
prediction = chosen.strip(space)
if prediction is not None:
    page.show(space, prediction)
