"""Prediction debugging: what the model got wrong, beside the attention that led to it."""

import streamlit as st

from attnlib.dashboard import charts, detail, gallery, summary, workspace

space = workspace.current()

st.title("Prediction debugging")
summary.line(space)
summary.progress(space)
summary.refusals(space)
summary.label_table(space)

chosen = st.session_state.get("image")
if chosen is not None:
    gallery.back_button()
    detail.show(space, chosen)
else:
    with st.expander("Confusion matrix", icon=":material/grid_on:", expanded=False):
        st.caption("Click a cell to see its images below; double-click to see all again.")
        cell = charts.confusion(space)
    st.subheader("Wrong predictions first")
    gallery.show(space, cell)
    summary.exports(space)
