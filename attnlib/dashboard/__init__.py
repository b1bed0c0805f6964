"""Everything that imports Streamlit. Pages call this; the rest of attnlib never does."""
