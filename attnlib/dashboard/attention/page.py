"""The page as a whole: one fragment with the views of one image."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.attention import compare, grids, one, progression, whole
from attnlib.dashboard.attention.choose import choose
from attnlib.dashboard.parts import address, views
from attnlib.dashboard.parts.look import Look
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads import rows as attention

VIEWS: dict[str, Callable[[Look], None]] = {
    "One head": one.show,
    "Heads of a layer": grids.heads_of_layer,
    "All layers × heads": grids.all_heads,
    "Through the layers": progression.show,
    "Token × token": whole.show,
    "Compare": compare.show,
}


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """The chosen view; a change reruns this part of the page only."""
    space = space.about(prediction.name)
    if not attention.layer_shape(space.vit)[0]:
        st.warning(
            f"No token stands for the prediction in {literal(space.vit.name)}: "
            f"{literal(space.vit.support.reason)}. So there is no CLS map and no rollout; "
            "“Prediction debugging” offers occlusion, which needs no attention."
        )
        whole.windows(space, prediction.name)
        return
    view = views.choose(
        "attention_view",
        VIEWS,
        collapsed=False,
        help="One head large, many heads small, layer by layer, the whole matrix, or a comparison.",
    )
    view(choose(space, prediction))
