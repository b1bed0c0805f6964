"""The maps of all methods side by side on one scale, and the difference of any two."""

from __future__ import annotations

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.audit import Prediction
from attnlib.dashboard.compare import belief, closed_form, drawing
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.compare.difference import difference
from attnlib.dashboard.compare.drawing import Look, Map
from attnlib.dashboard.compare.settings import COMPARED, Settings
from attnlib.dashboard.parts import downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import beside, plain
from attnlib.dashboard.state.workspace import Workspace
from attnlib.methods import METHODS
from attnlib.pictures.colormaps import Scale

SIDE = 200


def show(space: Workspace, prediction: Prediction, compared: Compared, settings: Settings) -> None:
    """Every method's map, what is missing, how flow came out, and a difference."""
    belief.show(space, prediction, compared)
    look = drawing.choose()
    missing(compared)
    shares = compared.shares()
    if not shares:
        st.info("No method has a map with a positive value for this image.")
        return
    crop = space.inspected(prediction.name).picture
    scale = look.scale(shares.values())
    _grid(space, crop, compared, shares, look, scale)
    drawing.show_legend(scale, look, _words(space, prediction, compared, look))
    cautions(list(shares))
    _downloads(space, prediction, crop, compared, shares, look, scale)
    if compared.flow is not None:
        closed_form.show(space, prediction, compared.flow, settings)
    st.subheader("Difference of two maps")
    difference(space, prediction, shares, look)


def cautions(names: list[str]) -> None:
    """What was measured against some of the methods, said once for those that share it."""
    for caution in dict.fromkeys(METHODS[name].caution for name in names):
        if caution:
            titles = [METHODS[name].title for name in names if METHODS[name].caution == caution]
            st.caption(f"**{', '.join(titles)}**: {caution}")


def missing(compared: Compared) -> None:
    """Methods without a map, each with the reason, and what is offered instead."""
    if not compared.reasons:
        return
    lines = [
        f"- **{METHODS[name].title}**: {literal(reason)}"
        for name, reason in compared.reasons.items()
    ]
    there = [METHODS[name].title for name in COMPARED if name not in compared.reasons]
    st.warning(
        "\n".join(lines) + f"\n\nWhat is defined here: {', '.join(there)}.",
        title="Not available for this model",
    )


def _grid(
    space: Workspace,
    crop: Image.Image,
    compared: Compared,
    shares: dict[str, Map],
    look: Look,
    scale: Scale,
) -> None:
    grid = space.vit.layout.grid
    with beside("maps"):
        for name, heat in compared.heats.items():
            values = shares.get(name)
            picture = (
                plain(crop, 2 * SIDE)
                if values is None
                else look.draw(crop, values, look.own(values, scale), 2 * SIDE, space.vit.covers)
            )
            note = drawing.reach(values) if values is not None else "no positive value"
            if heat.target is not None:
                note = f"for “{literal(space.class_name(heat.target))}” · {note}"
            drawing.map_cells(
                picture,
                values,
                grid,
                METHODS[name].title,
                f"compare_map_{name}",
                SIDE,
                note,
                covers=space.vit.covers,
            )


def _words(space: Workspace, prediction: Prediction, compared: Compared, look: Look) -> str:
    signed = [METHODS[name].title for name, heat in compared.heats.items() if heat.signed]
    words = (
        f"{look.meaning()}The methods have different units, so each map is its share of its own "
        "total: 1 is what a patch gets if all patches get the same."
    )
    if signed:
        words += f" {', '.join(signed)} is signed: its positive part is shown."
    query = space.inspected(prediction.name).record.query
    return f"{words} Query: {query}."


def _downloads(
    space: Workspace,
    prediction: Prediction,
    crop: Image.Image,
    compared: Compared,
    shares: dict[str, Map],
    look: Look,
    scale: Scale,
) -> None:
    stem = f"{stem_of(prediction.name)}-methods"

    def rows() -> list[dict[str, object]]:
        some = next(iter(compared.heats.values())).values
        listed: list[dict[str, object]] = []
        for row, col in np.ndindex(some.shape):
            entry: dict[str, object] = {"row": row, "column": col}
            for name, heat in compared.heats.items():
                entry[f"{name} ({heat.unit})"] = float(heat.values[row, col])
            for name, values in shares.items():
                entry[f"{name} (× uniform)"] = float(values[row, col])
            listed.append(entry)
        return listed

    with st.container(horizontal=True):
        downloads.table(rows, stem, "Maps (CSV)")
        downloads.picture(
            lambda: drawing.sheet(
                crop,
                {
                    METHODS[name].title: look.draw(
                        crop, values, look.own(values, scale), 320, space.vit.covers
                    )
                    for name, values in shares.items()
                },
                scale,
                look,
            ),
            stem,
            "All maps (PNG)",
        )
