"""Which map of an opened image: the method, the class that it explains, and its options."""

from __future__ import annotations

from typing import Any

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import standard
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.parts import target as targets
from attnlib.dashboard.parts.codecs import LARGEST, Number, OneOf
from attnlib.dashboard.parts.pictures import SCALES, ScaleKind
from attnlib.dashboard.state.workspace import Workspace
from attnlib.methods import METHODS, Method, Option


def choose(
    space: Workspace, prediction: Prediction
) -> tuple[Method, int | None, dict[str, Any], ScaleKind]:
    """The method, the class for those that explain one, the method's options, and the scale."""
    possible = [name for name, method in METHODS.items() if space.vit.support.defines(method.needs)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = controls.choice(
            "method",
            "Method",
            possible,
            default=standard.method(space.vit.support).name,
            title=lambda key: METHODS[key].title,
            width=250,
            help="How the map is computed. The line under the picture says what it means.",
        )
        method = METHODS[name]
        target = _target(space, prediction, method)
        if "against" in method.options:
            against = _against(space, prediction, method, target)
        options = _layer_and_head(space, method)
        if "against" in method.options:
            options["against"] = against
        # A token, a seed: what the page sets elsewhere or nobody would set by hand.
        more = {k: o for k, o in method.options.items() if k not in options and o.shown}
        scale = _scale()
        if more:
            with controls.drawer(
                "options_open", "Options", icon=":material/tune:", help="Settings of the method."
            ) as place:
                for key, option in more.items():
                    options[key] = _option(space, key, option, bool(place.open))
    return method, target, options, scale


def _scale() -> ScaleKind:
    """How far the colours reach."""
    return controls.segments(
        "scale",
        "Scale",
        SCALES,
        help=(
            "× uniform: 1 is what every patch gets if all get the same. Shared: from 0 to "
            "the largest value shown. Per image: from the smallest value to the largest."
        ),
    )


def _target(space: Workspace, prediction: Prediction, method: Method) -> int | None:
    if not method.class_specific:
        return None
    return targets.choose(
        space, prediction, key="target", width=210, help="The class that the map explains."
    )


def _against(space: Workspace, prediction: Prediction, method: Method, target: int | None) -> int:
    """The other class of a contrast: the true one, or the runner-up where that is the target."""
    others = [index for index, _ in prediction.top(6) if index != target]
    if prediction.label is not None and prediction.label != target:
        others = [prediction.label, *[i for i in others if i != prediction.label]]
    return controls.choice(
        "against",
        "Against",
        others,
        title=space.class_name,
        of=(prediction.name, target),
        width=210,
        help=(
            "Blue patches speak for this class."
            if method.signed
            else "The map shows what speaks for the other class rather than this one."
        ),
    )


def _layer_and_head(space: Workspace, method: Method) -> dict[str, Any]:
    if "layer" not in method.options:
        return {}
    shapes = [space.vit.support.shapes[i] for i in space.vit.support.calls("layer")]
    layers = range(len(shapes) or 1)
    layer = controls.choice(
        "layer",
        "Layer",
        layers[::-1],
        width=90,
        help="Counted from 0, the first layer after the patch embedding.",
    )
    head = controls.choice(
        "head",
        "Head",
        ["all", *map(str, range(shapes[0][1] if shapes else 1))],
        width=90,
        help="One head, or all of them fused as chosen below.",
    )
    return {"layer": layer, "head": None if head == "all" else int(head)}


def _option(space: Workspace, name: str, option: Option, drawn: bool) -> Any:
    """The value of an option; while its control is drawn, that which its kind asks for."""
    key, label, help = f"option_{name}", name.replace("_", " ").capitalize(), option.description
    if option.choices:
        if drawn:
            return controls.segments(key, label, option.choices, default=option.default, help=help)
        return address.value(key, option.default, OneOf(option.choices), label=label)
    if isinstance(option.default, float) or name in ("start_layer", "source_layer"):
        low, high, default = _span(space, name, option)
        if drawn or low >= high:
            step = 0.05 if isinstance(default, float) else None
            return controls.slider(key, label, low, high, default, step, width=260, help=help)
        return address.value(key, default, Number(low, high), label=label)
    least = None if option.low is None else int(option.low)
    if drawn:
        return controls.number(key, label, option.default, least, width=140, help=help)
    codec = Number(-LARGEST if least is None else least, blank=option.default is None)
    return address.value(key, option.default, codec, label=label)


def _span(space: Workspace, name: str, option: Option) -> tuple[Any, Any, Any]:
    """Least, most and usual value of an option on a slider."""
    layers = len(space.vit.support.calls("layer"))
    if name == "start_layer":
        return 0, layers - 1, 0
    if name == "source_layer":
        return 1, layers, layers
    return (
        float(option.low or 0.0),
        float(1.0 if option.high is None else option.high),
        option.default,
    )
