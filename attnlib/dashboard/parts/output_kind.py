"""What the model's outputs mean: found out, shown with what says so, and open to correction."""

from __future__ import annotations

import streamlit as st

from attnlib.capture.outputs import KINDS, TITLE, Kind
from attnlib.dashboard.parts import controls
from attnlib.model.vit import Vit

AUTO = "auto"
TITLES = {AUTO: "as found out"} | {str(kind): title for kind, title in TITLE.items()}


def choose() -> Kind | None:
    """The kind that the visitor says; None to go by what is found out."""
    with st.expander("Outputs", icon=":material/label:"):
        said = controls.choice(
            "outputs",
            "Outputs are",
            [AUTO, *KINDS],
            title=TITLES.__getitem__,
            help=(
                "What the model's outputs mean. It decides about probabilities, about what is "
                "right and wrong, and about what a map of a class explains."
            ),
        )
    return next((kind for kind in KINDS if kind == said), None)


def threshold(vit: Vit) -> float:
    """From which probability on a label counts as predicted, where labels are independent."""
    if vit.outputs.kind != "labels":
        return 0.5
    return controls.slider(
        "threshold",
        "Label threshold",
        0.05,
        0.95,
        0.5,
        0.05,
        help="A label counts as predicted from this probability on.",
    )
