"""Debug Vision Transformers: wrong predictions beside the attention that led to them.

python -m streamlit run app.py
"""

import streamlit as st

from attnlib.dashboard.parts import progress, sidebar
from attnlib.dashboard.state import startup

st.set_page_config(page_title="ViT debugger", page_icon=":material/troubleshoot:", layout="wide")
startup.once()

# Pages lie one folder down: a direct request to a page file next to app.py would run it alone.
page = st.navigation(
    [
        st.Page(
            "pages/prediction_debugging/page.py",
            title="Prediction debugging",
            icon=":material/troubleshoot:",
            url_path="prediction-debugging",
            default=True,
            help="What the model got wrong, each image beside the attention behind the mistake.",
        ),
        st.Page(
            "pages/cls_attention/page.py",
            title="CLS attention",
            icon=":material/visibility:",
            url_path="cls-attention",
            help="What the prediction looked at, in every layer and head, and since when.",
        ),
        st.Page(
            "pages/head_similarity/page.py",
            title="Head similarity",
            icon=":material/hub:",
            url_path="head-similarity",
            help="What each head does to a mistake, which heads are alike, and which stand out.",
        ),
        st.Page(
            "pages/rollout_vs_flow/page.py",
            title="Rollout vs flow",
            icon=":material/compare:",
            url_path="rollout-vs-flow",
            help="Whether the methods agree on a prediction, and which of them to believe.",
        ),
        st.Page(
            "pages/attention_walkthrough/page.py",
            title="Attention walk-through",
            icon=":material/directions_walk:",
            url_path="attention-walkthrough",
            help="One attention computation step by step, with the loaded model's real numbers.",
        ),
        st.Page(
            "pages/complexity_calculator/page.py",
            title="Complexity calculator",
            icon=":material/calculate:",
            url_path="complexity-calculator",
            help="What a change of resolution, patch or model costs, in formulas and measured.",
        ),
    ]
)
progress.show(sidebar.show())
page.run()
