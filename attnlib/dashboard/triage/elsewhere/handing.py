"""Results in the formats of other tools, and the list of corrected labels."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.audit.handed import corrected
from attnlib.dashboard.parts import controls, downloads
from attnlib.data import results
from attnlib.data.results import Results


def show(make: Callable[[], Results], corrections: int) -> None:
    """A format and a button; the file is made on click.

    Args:
        make: gives the results.
        corrections: how many labels were found wrong.
    """
    titles = {one.TITLE: one for one in results.WRITERS}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        title = controls.choice(
            "elsewhere_format",
            "Hand out this model's results as",
            list(titles),
            width=300,
            help="Names, labels, predicted classes, probabilities, embeddings, tags, notes and "
            "corrected labels, as far as the format holds them.",
        )
        one = titles[title]
        st.download_button(
            "Download",
            lambda: one.write(make()),
            one.FILE,
            "application/octet-stream",
            key="elsewhere_download",
            icon=":material/download:",
            on_click="ignore",
            help="One row for each image.",
        )
        if corrections:
            downloads.table(
                lambda: corrected(make()),
                "corrected-labels",
                f"Corrected labels ({corrections})",
            )
