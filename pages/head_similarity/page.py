"""Head similarity: what heads do to a mistake, which of them are alike, and which stand out."""

import streamlit as st

from attnlib.dashboard import chosen, heads, summary, workspace

space = workspace.current()

st.title("Head similarity")
summary.progress(space)
prediction = chosen.strip(space)
if prediction is not None:
    heads.show(space, prediction)
