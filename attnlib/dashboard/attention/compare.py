"""Two images, or two models on one image, on one scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.capture.record import Record
from attnlib.dashboard.attention.one import PICTURE
from attnlib.dashboard.parts import controls, downloads, loaded, pictures, views
from attnlib.dashboard.parts.look import Array, Look, fused, patches
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import over, plain
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import results
from attnlib.errors import AttnlibError
from attnlib.heads import rows as attention
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.sheet import sheet


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
        st.info(f"No loaded image of “{literal(look.space.class_name(label))}” is predicted right.")


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
    covers = there.covers
    mine = _readout(look, look.name)
    theirs = _readout(look, other)
    title = _title(look, other)
    _side_by_side(
        look,
        Side(look.crop, mine, _title(look, look.name), look.covers),
        Side(there.picture, theirs, f"{title}{f' ({note})' if note else ''}", covers),
        f"layer {look.layer}, {look.head_name}, query: {space.vit.layout.query}",
    )


def _model(look: Look) -> None:
    space = look.space
    other = loaded.another(
        space.session,
        "attention_other_model",
        help=(
            "Runs on this image too, prepared as that model was used last. A pretrained model's "
            "weights are fetched once, over the network."
        ),
    )
    if other is None:
        return
    choice, vit = other
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
    theirs = _row(found.record, layer, head)
    mine = _readout(look, look.name)
    top = found.record.predicted
    _side_by_side(
        look,
        Side(
            look.crop,
            mine,
            f"{space.choice.title}: layer {look.layer}, {look.head_name}",
            look.covers,
        ),
        Side(
            found.picture,
            theirs,
            f"{choice.title}: layer {layer}, {head}, predicts {vit.class_names[top].split(',')[0]}",
            found.covers,
        ),
        f"queries: {space.vit.layout.query}; {vit.layout.query}",
    )


KINDS: dict[str, Callable[[Look], None]] = {
    "Nearest correct": _correct,
    "Another image": _another,
    "Another model": _model,
}


def _readout(look: Look, name: str) -> Array:
    return _row(look.space.inspected(name).record, look.layer, look.head)


def _row(record: Record, layer: int, head: str) -> Array:
    """Where the readout looks, ``(rows, cols)``."""
    return fused(patches(record.layout, record.row(layer)), head)


def _title(look: Look, name: str) -> str:
    found = look.space.prediction_of[name]
    if not found.classifies:
        return name
    names = look.space.true(found)
    true = "" if names is None else f", true: {', '.join(names) or 'none'}"
    return f"{name} · predicted: {', '.join(look.space.said(found)) or 'none'}{true}"


@dataclass(frozen=True)
class Side:
    """One of two images that stand beside each other.

    Attributes:
        values: its map ``(rows, cols)``.
        covers: how far the patches reach, in shares of the crop's height and width.
    """

    crop: Image.Image
    values: Array
    title: str
    covers: tuple[float, float]


def _side_by_side(look: Look, left: Side, right: Side, text: str) -> None:
    # Two grids may differ in size: multiples of each one's own uniform share compare them.
    sides = (left, right)
    maps = [side.values * side.values.size for side in sides]
    top = Scale.times_uniform(np.concatenate([m.ravel() for m in maps]), 1).high
    scales = [Scale.times_uniform(s.values, s.values.size, high=top) for s in sides]
    pairs = []
    with pictures.beside("sides"):
        for side, scale in zip(sides, scales, strict=True):
            mapped = over(side.crop, side.values, scale, look.style, 2 * PICTURE, side.covers)
            pair = [plain(side.crop, 2 * PICTURE), mapped]
            pairs.append(pair)
            with st.container(width=2 * PICTURE + 16, gap="small"):
                with st.container(horizontal=True, gap="small"):
                    for picture in pair:
                        pictures.show(picture, PICTURE, alt=side.title)
                st.text(side.title)
    legend_bar(scales[0], text, style=look.style)
    stem = f"{downloads.stem_of(look.name)}-beside-another"
    with st.container(horizontal=True):
        downloads.picture(lambda: _both(pairs), stem)
        downloads.table(lambda: [row for side in sides for row in _listed(side)], stem)


def _both(pairs: list[list[Image.Image]]) -> Image.Image:
    """Both sides below each other; crops of two models may differ in size."""
    upper, lower = (sheet(pair, 2) for pair in pairs)
    width = max(upper.width, lower.width)
    page = Image.new("RGB", (width, upper.height + lower.height), "grey")
    page.paste(upper)
    page.paste(lower, (0, upper.height))
    return page


def _listed(side: Side) -> list[dict[str, object]]:
    return [
        {"image": side.title, "row": row, "col": col, "share": float(share)}
        for (row, col), share in np.ndenumerate(side.values)
    ]
