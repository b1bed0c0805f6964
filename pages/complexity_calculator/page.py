"""Complexity calculator: what a change of resolution, patch or model will cost."""

import streamlit as st

from attnlib.dashboard import workspace
from attnlib.dashboard.cost import page

space = workspace.current()

st.title("Complexity calculator")
page.show(space)
