"""The receptive field after 1, 10, 25 and 50 layers: two CNNs beside the ViT."""

from __future__ import annotations

import streamlit as st
import torch
from torch import nn

from attnlib.complexity import Architecture
from attnlib.complexity.receptive_field import (
    ReceptiveField,
    cnn_receptive_field,
    vit_receptive_field,
)
from attnlib.dashboard.parts import downloads

LAYERS = (1, 10, 25, 50)
PLAIN = "3 × 3 convolutions"


def show(resnet: list[ReceptiveField], a: Architecture | None) -> None:
    """The table, and how its first column comes about."""
    listed = rows(resnet, a)
    st.markdown("**After 1, 10, 25 and 50 layers**: side of the square that one position sees")
    st.dataframe(listed, hide_index=True, width=720, alt="Receptive fields by layer")
    st.caption(
        "Each convolution of 3 × 3 adds a pixel on either side: 1 + 2·L after L layers. ResNet-50 "
        "grows faster, as its strides make every later step a larger one. A layer of the ViT is "
        "an attention layer; the first already reaches every patch."
    )
    downloads.table(listed, "receptive-field-table")


def rows(resnet: list[ReceptiveField], a: Architecture | None) -> list[dict[str, object]]:
    """One row for each of ``LAYERS``; sides in pixels, "none" where a net has no such layer."""
    attention = [] if a is None else vit_receptive_field(a)[1:]
    nets = {PLAIN: plain(), "ResNet-50": resnet}
    if a is not None:
        nets[f"this ViT, {a.depth} layers"] = attention
    return [
        {"layers": layers, **{name: _side(net, layers) for name, net in nets.items()}}
        for layers in LAYERS
    ]


@st.cache_data(max_entries=1, show_spinner=False)
def plain() -> list[ReceptiveField]:
    """Convolutions of 3 × 3 with stride 1, as many as the last row needs."""
    with torch.device("meta"):
        stack = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(LAYERS[-1])))
    return cnn_receptive_field(stack, image=8)


def _side(net: list[ReceptiveField], layers: int) -> str:
    return f"{net[layers - 1].size} px" if layers <= len(net) else "none"
