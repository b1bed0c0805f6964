"""Parts of the page “Head similarity”: what the heads of a model do, and to which mistakes."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.heads import effects, numbers, similarity
from attnlib.dashboard.state.workspace import Workspace

EFFECT, ALIKE, NUMBERS = "Effect on the prediction", "Similarity", "Numbers and flags"


def show(space: Workspace, prediction: Prediction) -> None:
    """Three sections, of which only the chosen one is computed."""
    section = st.segmented_control(
        "Section",
        [EFFECT, ALIKE, NUMBERS],
        default=EFFECT,
        required=True,
        key="heads_section",
        bind="query-params",
        label_visibility="collapsed",
        help="What a head does to the prediction, which heads are alike, or numbers for each head.",
    )
    if section == ALIKE:
        similarity.show(space, prediction)
    elif section == NUMBERS:
        numbers.show(space, prediction)
    else:
        effects.show(space, prediction)
