"""How far the methods agree: two matrices, and the difference of the pair that is clicked."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from PIL import Image, ImageDraw, ImageFont

from attnlib.audit import Prediction
from attnlib.dashboard.compare import difference, drawing, maps
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.compare.drawing import Map
from attnlib.dashboard.compare.settings import Settings
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.parts.cells import Cell, cells
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.state.workspace import Workspace
from attnlib.evaluation import agreement
from attnlib.methods import METHODS
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

CELL = 46  # pixels on screen; pictures have twice as many
SIDE = 62  # for the labels on the left


def show(space: Workspace, prediction: Prediction, compared: Compared, _: Settings) -> None:
    """Rank correlation and overlap of the tops as matrices, then the chosen difference."""
    look = drawing.choose()
    maps.missing(compared)
    names = [name for name in compared.heats if name in compared.shares()]
    if len(names) < 2:
        st.info("Agreement needs two maps.")
        return
    difference.settle(names)
    percent = controls.slider(
        "compare_top",
        "Top patches, %",
        5,
        50,
        10,
        5,
        width=220,
        help="Which share of the patches counts as the top of a map.",
    )
    values = [compared.heats[name].values for name in names]
    patches = values[0].size
    count = math.ceil(round(percent / 100 * patches, 9))
    with st.container(horizontal=True, gap="medium"):
        _matrix(
            "Spearman rank correlation",
            agreement.spearman(values),
            names,
            Scale(-1.0, 1.0, True, "rank correlation", mark=0.0),
            "Signed maps by value. A constant map has no order: grey.",
            f"{stem_of(prediction.name)}-spearman",
        )
        _matrix(
            f"Top {count} of {patches} patches in common",
            agreement.overlap(values, percent / 100),
            names,
            Scale(0.0, 1.0, False, "share", mark=count / patches),
            f"The line is what unrelated maps share: {count / patches:.2f}.",
            f"{stem_of(prediction.name)}-overlap",
        )
    st.caption("Click a cell to see where the two maps differ.")
    st.subheader("Difference of two maps")
    difference.difference(space, prediction, compared.shares(), look)


def _matrix(title: str, values: Map, names: list[str], scale: Scale, note: str, stem: str) -> None:
    labels = [METHODS[name].short for name in names]
    row, col = (names.index(st.session_state[k]) for k in (difference.FIRST, difference.SECOND))

    def pick(cell: Cell) -> None:
        difference.choose(names[cell[0]], names[cell[1]])

    with st.container(width=CELL * len(names) + SIDE, gap="small"):
        st.markdown(f"**{title}**")
        cells(
            drawn(values, scale),
            values.shape,
            key=f"compare_{stem.rsplit('-', 1)[-1]}",
            alt=title,
            width=CELL * len(names) + SIDE,
            selected=[(row, col)],
            on_pick=pick,
            values=values,
            row_names=[METHODS[name].title for name in names],
            col_names=[METHODS[name].title for name in names],
            left=labels,
            top=[METHODS[name].abbreviation for name in names],
        )
        colormap = None if scale.signed else "cividis"
        drawing.show_legend(scale, None, note, 300, colormap)
        with st.container(horizontal=True, gap="small"):
            downloads.matrix(values, labels, labels, stem)
            downloads.picture(lambda: drawn(values, scale), stem)


def drawn(values: Map, scale: Scale) -> Image.Image:
    """The matrix as coloured cells with their numbers; cells without a number are grey."""
    known = np.isfinite(values)
    side = 2 * CELL
    size = (side * values.shape[1], side * values.shape[0])
    palette = None if scale.signed else "cividis"
    picture = heat_image(np.where(known, values, 0.0), scale, palette, size).convert("RGB")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(26)
    for (row, col), value in np.ndenumerate(values):
        x, y = side * col, side * row
        if not known[row, col]:
            pen.rectangle((x, y, x + side - 1, y + side - 1), fill="#8a97a5")
        colour = picture.getpixel((x + 2, y + 2))
        assert isinstance(colour, tuple)
        bright = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
        text = f"{value:.2f}" if known[row, col] else "–"
        pen.text(
            (x + side / 2, y + side / 2),
            text,
            fill="black" if bright > 140 else "white",
            font=font,
            anchor="mm",
        )
    return picture
