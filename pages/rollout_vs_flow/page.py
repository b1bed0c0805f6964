"""Rollout vs flow: do the methods agree, and which should one believe?"""

import streamlit as st

from attnlib.dashboard.compare import page
from attnlib.dashboard.parts import chosen
from attnlib.dashboard.state import workspace

space = workspace.current()

st.title("Rollout vs flow")
st.caption("Do the methods agree on this prediction, and which of them should one believe?")
prediction = chosen.strip(space)
if prediction is not None:
    page.show(space, prediction)
