"""The parts of the page, of which one is shown and computed."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare import (
    agreement,
    compute,
    faithfulness,
    faithfulness_set,
    localisation,
    maps,
    randomised,
    settings,
)
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError

PARTS = ("Maps", "Agreement", "Faithfulness", "Randomised weights", "Localisation")


@st.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """The choice of a part, the shared options, and the part. A fragment: the rest stays."""
    part = st.segmented_control(
        "Part",
        PARTS,
        default=PARTS[0],
        required=True,
        key="compare_part",
        bind="query-params",
        label_visibility="collapsed",
        help="Which question to ask of the methods; only what is shown is computed.",
    )
    target, chosen = settings.controls(space, prediction)
    try:
        _part(part or PARTS[0], space, prediction, target, chosen)
    except AttnlibError as error:
        st.warning(str(error))


def _part(
    part: str,
    space: Workspace,
    prediction: Prediction,
    target: int,
    chosen: settings.Settings,
) -> None:
    if part == "Randomised weights":
        randomised.show(space, prediction, target, chosen)
        return
    compared = compute.maps(space, prediction, target, chosen)
    if compared is not None:
        if part == "Maps":
            maps.show(space, prediction, compared, chosen)
        elif part == "Agreement":
            agreement.show(space, prediction, compared)
        elif part == "Faithfulness":
            faithfulness.show(space, prediction, compared)
        else:
            localisation.show(space, prediction, compared)
    if part == "Faithfulness":
        faithfulness_set.show(space, chosen)
