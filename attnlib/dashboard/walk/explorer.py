"""The same query in all heads of a layer, and the same head in all layers."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.dashboard.parts.tiles import tiles
from attnlib.dashboard.walk.place import Place


def show(place: Place) -> None:
    """Two rows of maps on the image; a click goes to that head or layer."""
    look = place.look
    st.subheader(f"{place.token} in all heads of layer {place.walk.layer}")
    tiles(
        look,
        look.rows(),
        "head",
        key="walk_all_heads",
        on_pick=lambda head: st.session_state.update(walk_head=str(head)),
        hint="click a head to follow it",
    )
    st.subheader(f"Head {place.head} in all layers")
    st.caption("Heads of the same number in two layers are not related; they are only neighbours.")
    maps = np.stack([look.rows(layer)[place.head] for layer in range(look.layers)])
    tiles(
        look,
        maps,
        "layer",
        key="walk_all_layers",
        on_pick=lambda layer: st.session_state.update(walk_layer=str(layer)),
        hint="click a layer to go there",
    )
