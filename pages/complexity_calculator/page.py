"""Complexity calculator: what a change of resolution, patch or model will cost."""

import streamlit as st

from attnlib.dashboard.cost import page
from attnlib.dashboard.state import workspace

space = workspace.current()

st.title("Complexity calculator")
page.show(space)
