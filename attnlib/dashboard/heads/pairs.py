"""Two heads side by side, on the images where they agree most and least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.dashboard.heads import comparison, names
from attnlib.dashboard.parts import downloads, drawn, pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import Style, draw, plain, scale_of
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.heads import Similarity
from attnlib.heads.similarity import Measure
from attnlib.methods import Heat
from attnlib.pictures.colormaps import Scale

PICTURE = 116
WIDTH = 3 * PICTURE + 30
FEW = 2  # images where the heads agree most, and as many where they agree least


@dataclass(frozen=True)
class Row:
    """One image with the maps of both heads.

    Attributes:
        value: how alike they are on it.
    """

    title: str
    value: float
    crop: Image.Image
    heats: tuple[Heat, Heat]


def show(
    space: Workspace,
    samples: tuple[Sample, ...],
    measure: Measure,
    pair: tuple[int, int],
    shape: tuple[int, int],
    found: Similarity,
) -> None:
    """The maps of the two heads, numbers in L·H, on one shared scale."""
    heads = shape[1]
    titles = [names.name(*divmod(head, heads)) for head in pair]
    value = found.values[pair]
    over = f" on average over {found.images} images" if found.images > 1 else ""
    st.markdown(f"**{titles[0]} and {titles[1]}: {value:.3f}**{over}")
    if pair[0] == pair[1]:
        st.caption("A head compared with itself. Choose a cell beside the diagonal.")
    elif st.session_state.get("heads_pair") != pair:
        st.caption("The two most alike of the heads shown.")
    per_image = comparison.on_images(space, samples, measure, pair)
    if per_image is None:
        return
    picked = extremes(per_image)
    rows = [
        _row(space, per_image.names[i], float(per_image.values[i]), pair, title, heads)
        for title, i in picked
    ]
    scale = scale_of([heat for row in rows for heat in row.heats])
    style = drawn.style()
    for row in rows:
        _pictures(row, titles, scale, style)
    legend_bar(
        scale,
        f"one scale for all maps; 1 is 1/N of the attention of the query "
        f"({space.vit.layout.query})",
        width=260,
        style=style,
    )
    with st.container(horizontal=True):
        stem = f"heads-{'-'.join(titles).replace('·', '')}-{measure}"
        downloads.table(
            [
                {"image": name, f"similarity ({measure})": float(value)}
                for name, value in zip(per_image.names, per_image.values, strict=True)
            ],
            stem,
        )
        downloads.picture(lambda: sheet(rows, scale, style), stem)


def extremes(found: comparison.OnImages) -> list[tuple[str, int]]:
    """Which images to show and why: two of most and two of least agreement, none twice."""
    order = np.argsort(-found.values, kind="stable").tolist()
    if len(order) == 1:
        return [("", order[0])]
    most = order[: min(FEW, (len(order) + 1) // 2)]
    least = [i for i in order[::-1][:FEW] if i not in most]
    return [("agree most", i) for i in most] + [("agree least", i) for i in least]


def _row(
    space: Workspace, name: str, value: float, pair: tuple[int, int], why: str, heads: int
) -> Row:
    inspected = space.inspected(name)
    record = inspected.record
    maps = [
        Heat(
            record.cls_rows[divmod(head, heads)].reshape(record.grid),
            "share of the query's attention",
            record.query,
            "raw",
            share=True,
            covers=space.vit.covers,
        )
        for head in pair
    ]
    text = f"{why} · " if why else ""
    return Row(f"{text}{name}", value, inspected.picture, (maps[0], maps[1]))


def _pictures(row: Row, titles: list[str], scale: Scale, style: Style) -> None:
    with st.container(gap="xsmall"):
        st.caption(f"**{row.value:.3f}** {literal(row.title)}")
        with st.container(horizontal=True, gap="xsmall"):
            for title, picture in zip(
                ["the image", *titles], panels(row, scale, style), strict=True
            ):
                pictures.show(picture, PICTURE, caption=title, alt=title)


def panels(row: Row, scale: Scale, style: Style) -> list[Image.Image]:
    """The crop and the two maps over it."""
    side = 2 * PICTURE
    maps = [draw(row.crop, heat, scale, style, side) for heat in row.heats]
    return [plain(row.crop, side), *maps]


def sheet(rows: list[Row], scale: Scale, style: Style, gap: int = 8) -> Image.Image:
    """All rows as one picture."""
    lines = [panels(row, scale, style) for row in rows]
    width, height = lines[0][0].size
    size = (3 * width + 2 * gap, len(lines) * (height + gap) - gap)
    result = Image.new("RGB", size, "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            result.paste(picture, (x * (width + gap), y * (height + gap)))
    return result
