"""CLS attention: what did the prediction look at, and when did it start to?"""

import streamlit as st

from attnlib.dashboard import chosen, workspace
from attnlib.dashboard.attention import page

space = workspace.current()

st.title("CLS attention")
prediction = chosen.strip(space)
if prediction is not None:
    page.show(space, prediction)
