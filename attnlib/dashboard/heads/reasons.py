"""Why something about heads is not defined for a model, and what there is instead."""

from __future__ import annotations

import streamlit as st

from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import CaptureError


def no_removal(space: Workspace, error: CaptureError) -> None:
    """Heads of this model cannot be removed."""
    if "readout rows" in space.vit.support.maps:
        instead = "Where its heads look can still be compared: choose “Similarity” above."
    else:
        instead = "Grad-CAM and occlusion, on the page “Prediction debugging”, need no heads."
    st.warning(f"{literal(str(error))} {instead}", title="Heads cannot be removed here")


def no_rows(space: Workspace) -> str:
    """Why heads of this model cannot be compared, or ""."""
    if "readout rows" in space.vit.support.maps:
        return ""
    return (
        "There is no row of attention for the prediction by which heads could be compared: "
        f"{literal(space.vit.support.reason)}. Grad-CAM and occlusion, on the page “Prediction "
        "debugging”, need none."
    )


def no_numbers(space: Workspace, error: CaptureError) -> None:
    """The numbers of this model's heads are not defined."""
    if "readout rows" in space.vit.support.maps:
        instead = "The rows that it does have are compared under “Similarity”."
    else:
        instead = "Grad-CAM and occlusion, on the page “Prediction debugging”, need no heads."
    st.warning(f"{literal(str(error))} {instead}", title="There are no numbers for these heads")
