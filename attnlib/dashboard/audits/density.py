"""The images of an audit in the plane, counted in cells: where they lie, and where mistakes do."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import streamlit as st

from attnlib.audit.density import Density, density
from attnlib.audit.opened import Opened
from attnlib.dashboard.audits import images
from attnlib.dashboard.parts import charts, controls
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.methods.base import Progress

# Below the plane, so that it is nearly square on a telephone too.
SAMPLE, SHOWN, SIDE, LEGEND = 20_000, 12, 480, 56
SHARE, COUNT = "Share of mistakes", "Images"


def show(space: Workspace, found: Opened) -> None:
    """The cells in one of two colourings; under them the images of the cell that was clicked."""
    images.messages()
    made = tasks.run(
        "audit_density",
        found.stamp,
        lambda progress: compute(found, progress),
        button="Draw the map",
        help="Reads the embeddings of some thousand images.",
        eager=True,
        shared=True,
    )
    if made is None:
        return
    if not made.names:
        st.info("No image of this audit has an embedding.")
        return
    across, up = made.shares
    every = found.totals()
    whole = every.images - every.refused
    of = f"All {whole:,} images"
    if len(made.names) < whole:
        of = f"{len(made.names):,} of {whole:,} images, drawn at random"
        if found.sampled_of > 1:
            of += f" out of one in {found.sampled_of:,} parts of the audit"
    st.caption(
        f"{of}: images that the model finds alike lie near each other (PCA of the embeddings; "
        f"{across:.0%} of what varies lies across, {up:.0%} upwards). Click a cell to see what is "
        "in it. The share of mistakes is the lower end of its 95 % interval: a cell with few "
        "images stays pale."
    )
    by = controls.segments(
        "audit_cells_by", "Colour", [SHARE, COUNT], help="What a cell's colour says."
    )
    event = charts.draw(
        _cells,
        rows(made, by),
        words=f"{by} in cells of the plane of embeddings",
        width=SIDE,
        height=SIDE * (int(made.cells["row"].max()) + 1) // made.along + LEGEND,
        numbers={"most": float(max(made.cells["images"].max(), 1)), "columns": made.along - 0.5,
                 "lines": float(made.cells["row"].max()) + 0.5},
        selection="cell",
        key=f"audit_cells_{by}",
        share=by == SHARE,
    )  # fmt: skip
    picked = (event or {}).get("selection", {}).get("cell") or []
    if picked:
        _inside(space, found, made, int(picked[0]["cell"]))


def compute(found: Opened, progress: Progress) -> Density:
    """Of a sample of the images."""
    progress(0, 1)
    names, embeddings, judged, wrong = found.sample(SAMPLE)
    return density(names, embeddings, judged, wrong)


def rows(made: Density, by: str) -> list[dict[str, float | None]]:
    """A row for each cell; without labels it has no share of mistakes."""
    found: list[dict[str, float | None]] = []
    for cell, one in enumerate(made.cells.to_dict("records")):
        share = one["rate"]
        if by == SHARE and math.isnan(share):
            continue
        found.append(
            {
                "cell": cell,
                "column": int(one["column"]),
                "row": int(one["row"]),
                "images": int(one["images"]),
                "wrong": int(one["wrong"]),
                "rate": None if np.isnan(share) else round(float(share), 4),
                "least": None if np.isnan(share) else round(float(one["least"]), 4),
            }
        )
    return found


def _inside(space: Workspace, found: Opened, made: Density, cell: int) -> None:
    if not 0 <= cell < len(made.cells):
        return
    names = made.inside(cell)[:SHOWN]
    one = made.cells.iloc[cell]
    st.markdown(
        f"**{counted(int(one['images']), 'image')}** in this cell, {int(one['wrong'])} of "
        f"{int(one['judged'])} with a label wrong; the first {len(names)}, mistakes first:"
    )
    with st.container(horizontal=True, gap="small"):
        for name, picture in zip(names, images.thumbnails(found, names), strict=True):
            with st.container(width=80, gap=None):
                if picture is None:
                    st.caption("cannot be read")
                else:
                    st.image(picture, width=64)
                st.caption(literal(name.rsplit("/", 1)[-1][:14]))
    images.look(space, found, names, "audit_cell_look")


def _cells(share: bool) -> alt.LayerChart:
    colour = (
        alt.Color(
            "least:Q",
            title="wrong, at least",
            scale=alt.Scale(domain=[0, 1], scheme="yelloworangered"),
            legend=alt.Legend(format="%", orient="bottom"),
        )
        if share
        else alt.Color(
            "images:Q",
            title="images",
            scale=alt.Scale(type="log", domain=[1, alt.ExprRef("most")], scheme="viridis"),
            legend=alt.Legend(orient="bottom"),
        )
    )
    cell = alt.selection_point(name="cell", fields=["cell"])
    axis = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    marks = (
        charts.rows()
        .mark_rect(stroke=None)
        .encode(
            x=alt.X("x0:Q", title=None, axis=axis,
                    scale=alt.Scale(domain=[-0.5, alt.ExprRef("columns")], nice=False)),
            x2="x1:Q",
            y=alt.Y("y0:Q", title=None, axis=axis,
                    scale=alt.Scale(domain=[-0.5, alt.ExprRef("lines")], nice=False)),
            y2="y1:Q",
            color=colour,
            opacity=alt.condition(cell, alt.value(1.0), alt.value(0.35)),
            tooltip=charts.tips(images=",d", wrong=",d", rate=".0%"),
        )
        .transform_calculate(
            x0="datum.column - 0.5", x1="datum.column + 0.5",
            y0="datum.row - 0.5", y1="datum.row + 0.5",
        )
        .add_params(cell)
    )  # fmt: skip
    return charts.over(marks, numbers=("most", "columns", "lines"))
