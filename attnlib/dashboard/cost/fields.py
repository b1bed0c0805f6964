"""How far a position sees: a CNN layer by layer, a ViT at once, and how far it really looks."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import streamlit as st
import timm
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from attnlib.complexity import Architecture
from attnlib.complexity.receptive_field import (
    ReceptiveField,
    cnn_receptive_field,
    vit_receptive_field,
)
from attnlib.dashboard.cost import field_table
from attnlib.dashboard.cost.configuration import Resolved
from attnlib.dashboard.parts import charts, controls, downloads, pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import fit
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import strip
from attnlib.heads import HeadStatistics, head_statistics
from attnlib.pictures.colormaps import Scale, lookup
from attnlib.pictures.overlay import enlarge

PICTURE = 330
COLORMAP = "viridis"
MARGIN = (122, 135, 148)


def show(space: Workspace, found: Resolved) -> None:
    """The theoretical field of the configuration, then the effective one of the loaded model."""
    st.subheader("What could have an influence")
    if found.cost is None:
        st.info("The ViT's line comes back as soon as the controls above fit together.")
    _theoretical(found.cost.architecture if found.cost else None, found.title)
    st.subheader("How far the loaded model really looks")
    prediction = strip.show(space)
    if prediction is not None:
        _effective(space, prediction.name)


@st.cache_data(max_entries=1, show_spinner=False)
def resnet() -> list[ReceptiveField]:
    """ResNet-50 on its main path, from its own kernels and strides; no weights are needed."""
    with torch.device("meta"):
        module = timm.create_model("resnet50", pretrained=False).eval()
    # Short cuts see no more than what they are added to.
    return [row for row in cnn_receptive_field(module) if "downsample" not in row.layer]


def _theoretical(a: Architecture | None, title: str) -> None:
    nets = {"ResNet-50": resnet()}
    if a is not None:
        nets[title] = vit_receptive_field(a)
    rows = [
        {
            "network": name,
            "share of the layers": i / (len(layers) - 1),
            "layer": f"{i + 1} of {len(layers)}: {row.layer}",
            "pixels": row.size,
        }
        for name, layers in nets.items()
        for i, row in enumerate(layers)
    ]
    side = max(a.image) if a is not None else None
    _field_chart(rows, list(nets), side)
    last = nets["ResNet-50"][-1]
    text = (
        f"Side of the square of pixels that can change one position, computed from kernels and "
        f"strides. ResNet-50 grows to {last.size} pixels in {len(nets['ResNet-50'])} layers."
    )
    if a is not None:
        first = nets[title][1]
        text += (
            f" A token of this ViT is one patch of {max(a.patch)} pixels until its first attention "
            f"layer; from there on it sees all {first.size} pixels."
        )
    st.caption(text)
    downloads.table(rows, "receptive-field")
    field_table.show(nets["ResNet-50"], a)


def _field_chart(rows: list[dict[str, Any]], names: list[str], side: int | None) -> None:
    image = [] if side is None else [{"pixels": side, "text": f"the image: {side} pixels", "at": 1}]
    charts.draw(
        _growth,
        rows,
        words="Receptive field of ResNet-50 and of the ViT by layer",
        width=720,
        height=320,
        more={"image": image},
        names=tuple(names),
        image=side is not None,
    )


def _growth(names: tuple[str, ...], image: bool) -> alt.LayerChart:
    share = alt.Axis(format="%", grid=False)
    x = alt.X("share of the layers:Q", axis=share, title="share of the layers passed")
    y = alt.Y(
        "pixels:Q",
        scale=alt.Scale(type="log", base=2),
        title="receptive field (pixels)",
        axis=alt.Axis(format="d"),
    )
    legend = alt.Legend(orient="top", title=None, labelLimit=300)
    both = dict(zip(names, (charts.QUADRATIC, charts.LINEAR), strict=False))
    base = charts.rows().encode(x, y, charts.colour("network", both, legend))
    parts = [
        base.mark_line(interpolate="step-after", strokeWidth=2.5),
        base.mark_point(filled=True, size=36).encode(
            tooltip=charts.tips("network", "layer", "pixels")
        ),
    ]
    if image:
        line = charts.rows("image").encode(y)
        end = alt.X("at:Q", axis=share, title="share of the layers passed")
        words = line.mark_text(align="right", dy=-9, color=charts.MUTED)
        parts += [charts.rule(line), words.encode(end, text="text:N")]
    return charts.over(*parts)


def _effective(space: Workspace, name: str) -> None:
    sample = space.by_name[name]
    choice, vit = space.choice, space.vit

    def work(progress: tasks.Progress) -> HeadStatistics:
        return results.numbers(
            choice,
            sample,
            "head statistics",
            lambda: head_statistics(vit, vit.pixels(results.decoded(choice, vit, sample))),
        )

    found = tasks.run(
        "cost_distance",
        (choice, sample.sha256),
        work,
        button="Measure the attention distance",
        help="One forward pass of the loaded model over the chosen image.",
        eager=True,
    )
    if found is None:
        return
    distance = found.distance
    known: list[int | None] = [None, *range(distance.shape[0])]
    pick = controls.choice(
        "cost_rings",
        "Rings",
        known,
        title=lambda layer: "one for each layer" if layer is None
        else f"the heads of layer {layer}",
        width=230,
        help="One ring for each layer (the mean of its heads), or for each head of one layer.",
    )  # fmt: skip
    radii = distance.mean(1) if pick is None else distance[pick]
    crop = space.inspected(name).picture
    what = "layer" if pick is None else "head"
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=PICTURE + 20, gap="small"):
            picture = rings(crop, radii, space.vit.size, 2 * PICTURE)
            pictures.show(
                picture,
                PICTURE,
                alt=f"Mean attention distance of every {what} as a ring around the centre",
            )
            if len(radii) > 1:
                legend_bar(
                    Scale(0.0, float(len(radii) - 1), False, what),
                    "the radius is the mean attention distance; the centre stands for any patch",
                    COLORMAP,
                    PICTURE,
                )
            downloads.picture(lambda: rings(crop, radii, space.vit.size, 896), "attention-rings")
        with st.container(width=charts.WIDTH + 40, gap="small"):
            uniform = uniform_distance(space.vit.layout.grid, space.vit.size)
            _distance_chart(distance, uniform, pick)
            mean = distance.mean(1)
            st.caption(
                f"Attention distance of every head (dots) and the mean of each layer (line) on "
                f"**{literal(name)}**: how far, weighted by attention, a patch looks on average "
                f"over all patches (Dosovitskiy et al. 2021, fig. 7). It goes from {mean[0]:.1f} "
                f"pixels in the first layer to {mean[-1]:.1f} in the last; uniform attention would "
                f"be {uniform:.1f}."
            )
            downloads.matrix(
                distance,
                [f"layer {i}" for i in range(distance.shape[0])],
                [f"head {i}" for i in range(distance.shape[1])],
                "attention-distance",
            )


def rings(
    crop: Image.Image, radii: NDArray[np.floating], size: tuple[int, int], side: int
) -> Image.Image:
    """Circles around the centre of the crop.

    Args:
        radii: in pixels of the model's input.
        size: ``(height, width)`` of that input.
        side: of the longer side of the picture.
    """
    picture = enlarge(crop, fit(crop.size, side)).convert("RGB")
    scale = 2 * picture.width / size[1]
    stroke = max(3, side // 110)
    # Drawn at twice the size and reduced: circles of PIL have jagged edges.
    picture = picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BILINEAR)
    # What reaches beyond the picture is shown too, on a margin.
    beyond = float(np.max(radii)) * scale - min(picture.size) / 2
    if beyond > 0:
        picture = ImageOps.expand(picture, 2 * math.ceil(beyond / 2) + 4 * stroke, MARGIN)
    pen = ImageDraw.Draw(picture)
    middle = (picture.width / 2, picture.height / 2)
    palette = lookup(COLORMAP)
    for i, radius in enumerate(radii):
        place = round((len(palette) - 1) * (i / max(1, len(radii) - 1)))
        r = float(radius) * scale
        box = (middle[0] - r, middle[1] - r, middle[0] + r, middle[1] + r)
        red, green, blue = (int(c) for c in palette[place][:3])
        # A white rim outside and a black one inside: any colour shows on any picture.
        for colour, grow in ((255, 255, 255), 3), ((0, 0, 0), -stroke):
            edge = (box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow)
            pen.ellipse(edge, outline=colour, width=3)
        pen.ellipse(box, outline=(red, green, blue), width=stroke)
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def uniform_distance(grid: tuple[int, int], size: tuple[int, int]) -> float:
    """Mean distance in pixels between two patches, each drawn at random: uniform attention's."""
    rows, cols = grid
    down, right = np.arange(rows), np.arange(cols)
    # How many pairs are so many rows (columns) apart.
    count_down = np.where(down == 0, rows, 2 * (rows - down))
    count_right = np.where(right == 0, cols, 2 * (cols - right))
    lengths = np.hypot(down[:, None] * size[0] / rows, right[None, :] * size[1] / cols)
    weights = count_down[:, None] * count_right[None, :]
    return float((lengths * weights).sum() / weights.sum())


def _distance_chart(distance: NDArray[np.float32], uniform: float, pick: int | None) -> None:
    rows = [
        {"layer": layer, "head": head, "pixels": float(distance[layer, head])}
        for layer in range(distance.shape[0])
        for head in range(distance.shape[1])
    ]
    charts.draw(
        _distances,
        rows,
        words="Attention distance of every head, by layer",
        width=charts.WIDTH,
        height=270,
        more={"uniform": [{"pixels": uniform, "text": "uniform attention"}]},
        numbers={
            "high": 1.08 * max(uniform, float(distance.max())),
            "picked": -1 if pick is None else pick,
        },
    )


def _distances() -> alt.LayerChart:
    title, scale = "attention distance (pixels)", charts.upto("high")
    x, y = charts.layer_axis(), alt.Y("pixels:Q", title=title, scale=scale)
    opacity = alt.condition("picked < 0 || datum.layer == picked", alt.value(0.9), alt.value(0.2))
    dots = charts.rows().mark_point(filled=True, size=50, color=charts.LINEAR)
    line = charts.rows().mark_line(strokeWidth=2.5, color=charts.QUADRATIC)
    uniform = charts.rows("uniform").encode(y)
    words = uniform.mark_text(align="left", dy=-7, color=charts.MUTED, x=4)
    return charts.over(
        dots.encode(x, y, opacity=opacity, tooltip=charts.tips("layer", "head", pixels=".1f")),
        line.encode(x, alt.Y("mean(pixels):Q", title=title, scale=scale)),
        charts.rule(uniform),
        words.encode(text="text:N"),
        numbers=("high", "picked"),
    )
