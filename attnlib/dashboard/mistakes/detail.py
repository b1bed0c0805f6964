"""One image opened large: every method, class, layer and head, and how it is drawn."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.audit import Prediction
from attnlib.capture.record import Record
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.parts import charts, chosen, pictures
from attnlib.dashboard.parts import target as targets
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.pictures import (
    SCALES,
    ScaleKind,
    Style,
    draw,
    encoded,
    plain,
    scale_of,
)
from attnlib.dashboard.parts.style import colours, legend_bar
from attnlib.dashboard.parts.verdict import verdict
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.methods import METHODS, Heat, Method
from attnlib.pictures.colormaps import Scale

PICTURE = 205  # pixels: four side by side at 1440, two at 900
# Rounding in float32 stays far below this; half precision does not.
SELF_CHECK = 1e-3
# The seed of a random map and the end points of contrast are set elsewhere on the page.
NOT_SHOWN = {"query", "seed", "against", "layer", "head"}


@st.fragment
def show(space: Workspace, name: str) -> None:
    """The opened image. A fragment: changing how it is drawn reruns nothing else."""
    prediction = space.prediction_of.get(name)
    if prediction is None:
        chosen.missing(space, name)
        return
    found = space.inspected(name)
    method, target, options = _method(space, prediction)
    style, kind = _style()
    try:
        made = cases.heat(space, name, method.name, target, **options)
        beside = _beside(space, prediction, method, options)
    except AttnlibError as error:
        st.warning(str(error), title=f"{method.title} is not available")
        return
    together = [made] if beside is None else [made, beside]
    scale = scale_of(together, kind)
    with st.container(horizontal=True):
        with st.container(width=PICTURE):
            verdict(space, prediction, key="detail")
        _pictures(space, found.picture, method, together, scale, style)
    legend_bar(
        scale,
        f"{method.description} *{method.source}*",
        None if made.signed else style.colormap,
    )
    _downloads(name, found.picture, made, scale, style)
    _facts(found.record)


def _method(space: Workspace, prediction: Prediction) -> tuple[Method, int | None, dict[str, Any]]:
    possible = [
        name
        for name, method in METHODS.items()
        if method.needs == "nothing" or method.needs in space.vit.support.maps
    ]
    default = "relevance" if "relevance" in possible else possible[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Method",
            possible,
            index=possible.index(default),
            format_func=lambda key: METHODS[key].title,
            key="method",
            bind="query-params",
            width=250,
            help="How the map is computed. The line under the picture says what it means.",
        )
        method = METHODS[name or default]
        target = _target(space, prediction, method)
        options = _layer_and_head(space, method)
    if method.name == "contrast":
        options["against"] = _against(space, prediction, target)
    for key, option in method.options.items():
        if key in NOT_SHOWN:
            continue
        if option.choices:
            options[key] = st.segmented_control(
                key.replace("_", " ").capitalize(),
                option.choices,
                default=option.default,
                required=True,
                key=f"option_{key}",
                help=option.description,
            )
        elif isinstance(option.default, float):
            options[key] = st.slider(
                key.replace("_", " ").capitalize(),
                float(option.low or 0.0),
                float(option.high or 1.0),
                option.default,
                0.05,
                key=f"option_{key}",
                help=option.description,
            )
        elif key == "start_layer":
            last = len(space.vit.support.calls("layer")) - 1
            options[key] = st.slider(
                "Start layer",
                0,
                last,
                0,
                key="option_start_layer",
                width=260,
                help=option.description,
            )
    return method, target, options


def _target(space: Workspace, prediction: Prediction, method: Method) -> int | None:
    if not method.class_specific:
        return None
    return targets.choose(
        space, prediction, key="target", width=210, help="The class that the map explains."
    )


def _against(space: Workspace, prediction: Prediction, target: int | None) -> int:
    """The other class of a contrast: the true one, or the runner-up where that is the target."""
    others = [index for index, _ in prediction.top(5) if index != target]
    if prediction.label is not None and prediction.label != target:
        others = [prediction.label, *[i for i in others if i != prediction.label]]
    chosen = st.selectbox(
        "Against",
        others,
        format_func=space.class_name,
        key=f"against_{prediction.name}_{target}",
        width=210,
        help="The map shows what speaks for the other class rather than for this one.",
    )
    return others[0] if chosen is None else chosen


def _layer_and_head(space: Workspace, method: Method) -> dict[str, Any]:
    if "layer" not in method.options:
        return {}
    shapes = [space.vit.support.shapes[i] for i in space.vit.support.calls("layer")]
    layers = list(range(len(shapes))) or [0]
    heads = shapes[0][1] if shapes else 1
    layer = st.selectbox(
        "Layer",
        layers[::-1],
        key="layer",
        bind="query-params",
        width=90,
        help="Counted from 0, the first layer after the patch embedding.",
    )
    head = st.selectbox(
        "Head",
        ["all", *map(str, range(heads))],
        key="head",
        bind="query-params",
        width=90,
        help="One head, or all of them fused as chosen below.",
    )
    number = int(head) if head is not None and head.isdigit() else None
    return {"layer": layers[-1] if layer is None else layer, "head": number}


def _style() -> tuple[Style, ScaleKind]:
    with st.expander("How it is drawn", icon=":material/palette:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            colormap = colours()
            scale = st.segmented_control(
                "Scale",
                SCALES,
                default=SCALES[0],
                required=True,
                key="scale",
                persist_state="session",
                help=(
                    "× uniform: 1 is what every patch gets if all get the same. Shared: from 0 to "
                    "the largest value shown. Per image: from the smallest value to the largest."
                ),
            )
            interpolation = st.segmented_control(
                "Patches",
                ["nearest", "smooth"],
                default="nearest",
                required=True,
                key="interpolation",
                persist_state="session",
                help="Nearest shows the patches as they are; smooth blends them.",
            )
        with st.container(horizontal=True):
            opacity = st.slider(
                "Opacity",
                0.0,
                1.0,
                0.5,
                0.05,
                key="opacity",
                persist_state="session",
                width=220,
                help="Of the map over the picture.",
            )
            keep = st.slider(
                "Strongest patches shown, %",
                5,
                100,
                100,
                5,
                key="keep",
                persist_state="session",
                width=220,
                help="Dims all but the strongest patches.",
            )
    style = Style(
        colormap=colormap,
        opacity=opacity,
        interpolation="smooth" if interpolation == "smooth" else "nearest",
        keep=None if keep == 100 else keep / 100,
    )
    return style, scale or SCALES[0]


def _beside(
    space: Workspace, prediction: Prediction, method: Method, options: dict[str, Any]
) -> Heat | None:
    """For a wrong prediction and a class-specific method: the true class's map, to compare."""
    if not prediction.wrong or not method.class_specific or method.signed or "against" in options:
        return None
    return cases.heat(space, prediction.name, method.name, prediction.label, **options)


def _pictures(
    space: Workspace,
    crop: Image.Image,
    method: Method,
    heats: list[Heat],
    scale: Scale,
    style: Style,
) -> None:
    """The crop, then each map on the one scale."""
    _picture(plain(crop, 2 * PICTURE), "what the model saw")
    for heat, role in zip(heats, ("", " (true), same scale"), strict=False):
        target = "" if heat.target is None else f" for “{space.class_name(heat.target)}”"
        caption = f"{method.title if not role else ''}{target}{role}".strip()
        _picture(draw(crop, heat, scale, style, 2 * PICTURE), caption)


def _picture(picture: Image.Image, caption: str) -> None:
    pictures.show(picture, PICTURE, caption=caption, alt=caption)


def _facts(record: Record) -> None:
    """How far the capture can be trusted, and how concentrated attention is in each layer."""
    if np.isfinite(record.self_check):
        st.badge(
            f"capture checked: |A·V − output| ≤ {record.self_check:.1e}",
            icon=":material/verified:",
            color="green" if record.self_check < SELF_CHECK else "orange",
        )
    st.caption(f"Query: {record.query}. Entropy of its attention by layer, 1 is uniform:")
    if record.entropy.size:
        charts.layers(record.entropy, "entropy ÷ log N", (0.0, 1.0))


def _downloads(name: str, crop: Image.Image, made: Heat, scale: Scale, style: Style) -> None:
    stem = stem_of(name)
    with st.container(horizontal=True):
        st.download_button(
            "Picture (PNG)",
            lambda: encoded(draw(crop, made, scale, style, 896)),
            f"{stem}-{made.method}.png",
            "image/png",
            icon=":material/image:",
            on_click="ignore",
            help="The map over the crop, 896 pixels wide.",
        )
        st.download_button(
            "Numbers (CSV)",
            lambda: heat_csv(made),
            f"{stem}-{made.method}.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
            help="One row for each patch: row, column, value.",
        )


def heat_csv(heat: Heat) -> str:
    """The map as CSV, one line per patch, with its unit in the header."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["row", "col", heat.unit])
    for (row, col), value in np.ndenumerate(heat.values):
        writer.writerow([row, col, repr(float(value))])
    return out.getvalue()
