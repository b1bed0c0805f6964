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
from attnlib.dashboard.mistakes import drawn, explain
from attnlib.dashboard.parts import address, charts, chosen, downloads, pictures
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.pictures import (
    Style,
    draw,
    encoded,
    plain,
    scale_of,
)
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.parts.verdict import verdict
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.methods import Heat, Method
from attnlib.pictures.colormaps import Scale

PICTURE = 205  # pixels: four side by side at 1440, two at 900
# Rounding in float32 stays far below this; half precision does not.
SELF_CHECK = 1e-3


@address.fragment
def show(space: Workspace, name: str) -> None:
    """The opened image. A fragment: changing how it is drawn reruns nothing else."""
    prediction = space.prediction_of.get(name)
    if prediction is None:
        chosen.missing(space, name)
        return
    found = space.inspected(name)
    method, target, options = explain.choose(space, prediction)
    style, kind = drawn.choose()
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


def _beside(
    space: Workspace, prediction: Prediction, method: Method, options: dict[str, Any]
) -> Heat | None:
    """For a wrong prediction and a class-specific method: the true class's map, to compare."""
    pair = prediction.wrong and prediction.label not in (None, prediction.predicted)
    if not pair or not method.class_specific or method.signed or "against" in options:
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
        downloads.layers(record.entropy, "entropy-by-layer")


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
