"""Two images, or two models on one image, on one scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.capture.record import Record
from attnlib.dashboard.attention.one import PICTURE
from attnlib.dashboard.parts import controls, views
from attnlib.dashboard.parts.look import Array, Look, fused, patches
from attnlib.dashboard.parts.pictures import encoded, fit, plain
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import models, results
from attnlib.dashboard.state.models import DEMO, ModelChoice
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads import rows as attention
from attnlib.model.vit import Vit
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import overlay


def show(look: Look) -> None:
    """This image beside a correct one of the true class, another image, or another model."""
    kinds = dict(KINDS)
    if look.prediction.label is None:
        del kinds["Nearest correct"]
    kind = views.choose(
        "attention_compare",
        kinds,
        label="Compare with",
        collapsed=False,
        help="What stands beside this image: a correct one of its true class, or your choice.",
    )
    if look.query is not None:
        st.caption(
            "Patches of two images have nothing to do with each other: both show the readout."
        )
    kind(look)


def _correct(look: Look) -> None:
    label = look.prediction.label
    assert label is not None
    found = look.space.nearest_correct(look.name, label)
    if found:
        _image(look, found[0][0], f"embedding similarity {found[0][1]:.2f}")
    else:
        st.info(f"No loaded image of “{look.space.class_name(label)}” is predicted right.")


def _another(look: Look) -> None:
    others = [p.name for p in look.space.predictions if p.name != look.name]
    if not others:
        st.info("There is no other image: add some in the sidebar.")
        return
    other = controls.choice(
        "attention_other",
        "Other image",
        others,
        of=look.name,
        width=420,
        help="The image that stands beside this one.",
    )
    _image(look, other)


def _image(look: Look, other: str, note: str = "") -> None:
    space = look.space
    there = space.inspected(other)
    mine = _readout(look, look.name)
    theirs = _readout(look, other)
    title = _title(look, other)
    _side_by_side(
        look,
        (look.crop, mine, _title(look, look.name)),
        (there.picture, theirs, f"{title}{f' ({note})' if note else ''}"),
        f"layer {look.layer}, {look.head_name}, query: {space.vit.layout.query}",
    )


def _model(look: Look) -> None:
    names = ["demo", *models.timm_names()]
    source = controls.maybe(
        "attention_other_model",
        "Other model",
        names,
        placeholder="Type to search, e.g. vit_small",
        width=420,
        help="Runs on this image too; pretrained weights are fetched once, over the network.",
    )
    if source is None:
        return
    space = look.space
    choice = DEMO if source == "demo" else ModelChoice(source, device=space.choice.device)
    vit = models.get(choice)
    sample = space.by_name[look.name]
    found = results.inspect(choice, vit, [sample])[0]
    if isinstance(found, Exception):
        raise found
    layers, heads = attention.layer_shape(vit)
    if not layers:
        raise AttnlibError(f"{vit.name} has no map to compare: {vit.support.reason}.")
    # The same depth, as a share of all layers, is the nearest thing to the same layer.
    place = look.layer / max(1, look.layers - 1)
    layer = round(place * (layers - 1))
    head = look.head if (look.head_number or 0) < heads else "mean"
    theirs = _row(vit, found.record, layer, head)
    mine = _readout(look, look.name)
    top = found.record.predicted
    _side_by_side(
        look,
        (look.crop, mine, f"{space.choice.title}: layer {look.layer}, {look.head_name}"),
        (
            found.picture,
            theirs,
            f"{choice.title}: layer {layer}, {head}, predicts {vit.class_names[top].split(',')[0]}",
        ),
        f"queries: {space.vit.layout.query}; {vit.layout.query}",
    )


KINDS: dict[str, Callable[[Look], None]] = {
    "Nearest correct": _correct,
    "Another image": _another,
    "Another model": _model,
}


def _readout(look: Look, name: str) -> Array:
    return _row(look.space.vit, look.space.inspected(name).record, look.layer, look.head)


def _row(vit: Vit, record: Record, layer: int, head: str) -> Array:
    """Where the readout looks, ``(rows, cols)``."""
    if not len(record.rows):
        raise CaptureError(
            f"Compared is the row of the readout, and {vit.name} has none: {vit.support.reason}. "
            "“One head” shows what a single patch looks at: click on it."
        )
    return fused(patches(vit.layout, record.rows[min(layer, len(record.rows) - 1)]), head)


def _title(look: Look, name: str) -> str:
    found = look.space.prediction_of[name]
    true = "" if found.label is None else f", true: {look.space.class_name(found.label)}"
    return f"{name} · predicted: {look.space.class_name(found.predicted)}{true}"


def _side_by_side(
    look: Look,
    left: tuple[Image.Image, Array, str],
    right: tuple[Image.Image, Array, str],
    text: str,
) -> None:
    # Two grids may differ in size: multiples of each one's own uniform share compare them.
    maps = [left[1] * left[1].size, right[1] * right[1].size]
    top = Scale.times_uniform(np.concatenate([m.ravel() for m in maps]), 1).high
    scales = [Scale.times_uniform(one, one.size, high=top) for one in (left[1], right[1])]
    with st.container(horizontal=True, gap="small"):
        for (crop, values, title), scale in zip((left, right), scales, strict=True):
            size = fit(crop.size, 2 * PICTURE)
            with st.container(width=2 * PICTURE + 16, gap="small"):
                with st.container(horizontal=True, gap="small"):
                    for picture in (
                        plain(crop, 2 * PICTURE),
                        overlay(crop, values, scale, size=size),
                    ):
                        with st.container(width=PICTURE, gap=None):
                            st.image(encoded(picture), width="stretch", alt=title)
                st.text(title)
    legend_bar(scales[0], text)
