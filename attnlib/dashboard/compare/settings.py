"""The options that all methods of the page share, and the controls that set them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts import controls
from attnlib.dashboard.parts import target as targets
from attnlib.dashboard.state.workspace import Workspace
from attnlib.methods import METHODS, Method
from attnlib.methods.base import FUSIONS
from attnlib.model.vit import Vit

# In the order in which they stand side by side: from attention alone to the model's answer.
COMPARED = tuple(name for name, method in METHODS.items() if method.compared)


@dataclass(frozen=True)
class Settings:
    """One value for each shared option; a method takes those that it has.

    Attributes:
        source_layer: through how many layers attention flow goes; None is all.
    """

    head_fusion: str = "mean"
    discard_ratio: float = 0.0
    residual_weight: float = 0.5
    start_layer: int = 0
    source_layer: int | None = None

    def options(self, method: Method) -> dict[str, Any]:
        """The options of one method; raw attention keeps its own layer, the last."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value
            for name, value in values.items()
            if name in method.options and value is not None
        }


def unsupported(vit: Vit, method: str) -> str:
    """Why the model has no such map, or ""."""
    return "" if vit.support.defines(METHODS[method].needs) else vit.support.reason


def layers(vit: Vit) -> int:
    """How many layers attend between all tokens."""
    return len(vit.support.calls("layer"))


def light(vit: Vit) -> bool:
    """Whether some hundred passes take about a second, so that nobody needs to ask for them."""
    return vit.device.type == "cuda" or vit.layout.patches * vit.width <= 2**15


def choose(space: Workspace, prediction: Prediction) -> tuple[int, Settings]:
    """The class that class-specific methods explain, and the shared options."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        target = targets.choose(
            space,
            prediction,
            key="compare_target",
            width=180,
            help="The class that relevance, Grad-CAM and occlusion explain and the curves follow.",
        )
        fusion = controls.segments(
            "compare_fusion",
            "Head fusion",
            FUSIONS,
            help="How the heads of a layer become one map: raw, rollout, residual and flow.",
        )
        discard = controls.slider(
            "compare_discard",
            "Discard ratio",
            0.0,
            0.95,
            0.0,
            0.05,
            width=128,
            help="Lowest share of each layer's entries set to zero: rollout, residual and flow.",
        )
        residual = controls.slider(
            "compare_residual",
            "Residual weight",
            0.0,
            1.0,
            0.5,
            0.05,
            width=128,
            help="Weight of the residual connection in a layer: rollout, residual and flow.",
        )
        start, source = _layers(layers(space.vit))
    return target, Settings(fusion, discard, residual, start, source)


def _layers(count: int) -> tuple[int, int | None]:
    """Start layer, and through how many layers flow goes; 0 layers are none to choose from."""
    if not count:
        return 0, None
    start = controls.slider(
        "compare_start",
        "Start layer",
        0,
        count - 1,
        0,
        of=count,
        width=128,
        help="First layer that takes part, counted from 0: rollout, residual and relevance.",
    )
    source = controls.slider(
        "compare_source",
        "Flow from layer",
        1,
        count,
        count,
        of=count,
        width=128,
        help="Attention flow starts at the readout's token after this many layers.",
    )
    return start, source
