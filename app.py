"""Debug Vision Transformers: wrong predictions beside the attention that led to them.

python -m streamlit run app.py
"""

import streamlit as st

from attnlib.dashboard import sidebar, startup

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
    ]
)
sidebar.show()
page.run()
