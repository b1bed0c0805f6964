"""Rollout vs flow: do the methods agree, and which should one believe?"""

import streamlit as st

from attnlib.dashboard.compare import page
from attnlib.dashboard.state import workspace
from attnlib.dashboard.triage import strip

space = workspace.current()

st.caption("Do the methods agree on this prediction, and which of them should one believe?")
prediction = strip.show(space)
if prediction is not None:
    page.show(space, prediction)
