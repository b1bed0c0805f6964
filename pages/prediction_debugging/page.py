"""Prediction debugging: what the model got wrong, beside the attention that led to it."""

import streamlit as st

from attnlib.dashboard.mistakes import page
from attnlib.dashboard.state import workspace

space = workspace.current()

st.title("Prediction debugging")
page.show(space)
