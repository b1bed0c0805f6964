"""Every kind of text that Streamlit reads as Markdown, with each hostile text through the door."""

import io

import streamlit as st
from PIL import Image

from attnlib.dashboard.parts.markdown import literal
from tests.dashboard.hostile import TEXTS

KINDS = (
    *("markdown", "caption", "warning", "button", "expander", "metric", "radio", "pills", "image"),
)
kind = st.query_params.get("kind", KINDS[0])
written = io.BytesIO()
Image.new("RGB", (8, 8)).save(written, "PNG")
for number, text in enumerate(TEXTS):
    shown = literal(text)
    with st.container(key=f"text{number}"):
        if kind == "radio":
            st.radio("x", [shown], key=number, label_visibility="collapsed")
        elif kind == "pills":
            st.pills("x", [shown], key=number, label_visibility="collapsed")
        elif kind == "image":
            st.image(written.getvalue(), caption=shown)
        elif kind == "metric":
            st.metric(shown, None, delta=None)
        elif kind == "button":
            st.button(shown, key=number)
        else:
            getattr(st, kind)(shown)
st.text("finished")
