"""Debug Vision Transformers: wrong predictions beside the attention that led to them.

python -m streamlit run app.py
"""

import streamlit as st

from attnlib.dashboard.gate import serving
from attnlib.dashboard.state import startup

# The script that draws lies in a folder without a `pages` beside it: Streamlit would take such a
# folder for pages of its own, and a first visit straight to an address would find none of ours.
app = st.App(startup.MAIN, **serving.options())
