"""CLS attention: what did the prediction look at, and when did it start to?"""

import streamlit as st

from attnlib.dashboard.attention import page
from attnlib.dashboard.parts import chosen
from attnlib.dashboard.state import workspace

space = workspace.current()

st.title("CLS attention")
prediction = chosen.strip(space)
if prediction is not None:
    page.show(space, prediction)
