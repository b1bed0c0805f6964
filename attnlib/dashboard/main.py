"""The frame around every page: the pages there are, and the sidebar that they share."""

import streamlit as st

from attnlib.dashboard.parts import account, address, frame, kept, progress, sidebar
from attnlib.dashboard.state import startup
from attnlib.dashboard.state.drawing import DRAWING
from attnlib.dashboard.tour import box
from attnlib.dashboard.triage import picking

SIDEBAR = 260  # pixels
WITHOUT_MAPS = ("complexity-calculator", "workspaces")

st.set_page_config(
    page_title="ViT debugger",
    page_icon=startup.ICON,
    layout="wide",
    initial_sidebar_state=SIDEBAR,
)
startup.once()
account.require()

page = st.navigation(
    [
        st.Page(
            startup.PAGES / "prediction_debugging/page.py",
            title="Prediction debugging",
            icon=":material/troubleshoot:",
            default=True,
            help="What the model got wrong, each image beside the attention behind the mistake.",
        ),
        st.Page(
            startup.PAGES / "diagnosis/page.py",
            title="Diagnosis",
            icon=":material/stethoscope:",
            url_path="diagnosis",
            help="What is wrong with this model and these images, with the evidence.",
        ),
        st.Page(
            startup.PAGES / "cls_attention/page.py",
            title="CLS attention",
            icon=":material/visibility:",
            url_path="cls-attention",
            help="What the prediction looked at, in every layer and head, and since when.",
        ),
        st.Page(
            startup.PAGES / "head_similarity/page.py",
            title="Head similarity",
            icon=":material/hub:",
            url_path="head-similarity",
            help="What each head does to a mistake, which heads are alike, and which stand out.",
        ),
        st.Page(
            startup.PAGES / "rollout_vs_flow/page.py",
            title="Rollout vs flow",
            icon=":material/compare:",
            url_path="rollout-vs-flow",
            help="Whether the methods agree on a prediction, and which of them to believe.",
        ),
        st.Page(
            startup.PAGES / "model_comparison/page.py",
            title="Model comparison",
            icon=":material/difference:",
            url_path="model-comparison",
            help="What another model repairs and breaks, and how patterns form during training.",
        ),
        st.Page(
            startup.PAGES / "audits/page.py",
            title="Audits",
            icon=":material/dataset:",
            url_path="audits",
            help="What a model said of every image of a large set, and which groups it fails on.",
        ),
        st.Page(
            startup.PAGES / "attention_walkthrough/page.py",
            title="Attention walk-through",
            icon=":material/directions_walk:",
            url_path="attention-walkthrough",
            help="One attention computation step by step, with the loaded model's real numbers.",
        ),
        st.Page(
            startup.PAGES / "complexity_calculator/page.py",
            title="Complexity calculator",
            icon=":material/calculate:",
            url_path="complexity-calculator",
            help="What a change of resolution, patch or model costs, in formulas and measured.",
        ),
        st.Page(
            startup.PAGES / "workspaces/page.py",
            title="Workspaces",
            icon=":material/folder:",
            url_path="workspaces",
            help="What was kept: open, share, export, delete.",
        ),
    ]
)
with DRAWING.draws("page"):
    kept.begin()
    address.follow(page.url_path)
    box.begin(page.title)
    space = sidebar.show()
    picking.show(space)
    frame.top(page.title, maps=page.url_path not in WITHOUT_MAPS)
    box.show(space, page.title)
    progress.show(space)
    page.run()
    kept.keep(space)
    address.flush()
