"""How maps in multiples of uniform are drawn: one scale, one legend, one style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from attnlib.dashboard.parts import controls, drawn
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.pictures import fit, plain
from attnlib.dashboard.parts.style import colour_bar
from attnlib.pictures.colormaps import SEQUENTIAL, Scale
from attnlib.pictures.overlay import legend, overlay

Map = NDArray[np.float64]
UNIFORM = "× uniform"
# Where the scale ends: the peak of one coarse map would leave the others without colours.
ENDS = {"largest value": 1.0, "98 % of patches": 0.98, "90 % of patches": 0.9}


@dataclass(frozen=True)
class Look:
    """How maps are drawn, the same for all that are compared.

    Attributes:
        end: quantile of all shown values at which the scale ends; larger values get the last
            colour.
    """

    colormap: str = SEQUENTIAL[0]
    opacity: float = 0.6
    end: float = 0.98

    def scale(self, maps: Iterable[Map]) -> Scale:
        """One scale for maps in multiples of uniform."""
        values = np.stack(list(maps))
        end = float(np.quantile(values, self.end))
        # A count of 1: these values are multiples of uniform already.
        rounded = Scale.times_uniform(np.asarray([end]), 1)
        return Scale(0.0, rounded.high, False, UNIFORM, mark=1.0)

    def draw(
        self,
        crop: Image.Image,
        values: Map,
        scale: Scale,
        side: int,
        covers: tuple[float, float] = (1.0, 1.0),
    ) -> Image.Image:
        """The map over the crop; the longer side is ``side`` pixels, and the patches reach as
        far as ``covers`` says in shares of height and width."""
        return overlay(
            crop,
            values,
            scale,
            colormap=None if scale.signed else self.colormap,
            opacity=self.opacity,
            size=fit(crop.size, side),
            covers=covers,
        )


def choose() -> Look:
    """The expander “How it is drawn”."""
    with (
        st.expander("How it is drawn", icon=":material/palette:"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        end = controls.segments(
            "compare_end",
            "Scale ends at",
            list(ENDS),
            default="98 % of patches",
            help="Larger values get the last colour; a lower end shows more of the even maps.",
        )
    style = drawn.style()
    return Look(style.colormap, style.opacity, ENDS[end])


def map_cells(
    picture: Image.Image,
    values: Map | None,
    grid: tuple[int, int],
    title: str,
    key: str,
    width: int,
    note: str = "",
    unit: str = UNIFORM,
    covers: tuple[float, float] = (1.0, 1.0),
) -> None:
    """One map under its title; the pointer reads its patches, which reach as far as `covers`."""
    with st.container(width=width, gap=None):
        st.markdown(f"**{title}**")
        if note:
            st.caption(note)
        cells(
            picture,
            grid,
            key=key,
            alt=f"{title} over the image",
            width=width,
            values=values,
            unit=unit,
            cell_names=[f"({row}, {col})" for row, col in np.ndindex(grid)],
            covers=covers,
        )


def show_legend(scale: Scale, colormap: str | None, text: str, width: int = 420) -> None:
    """The colour bar with its numbers, and in words what they mean."""
    colour_bar(scale, colormap, width)
    st.caption(text)


def sheet(
    crop: Image.Image,
    pictures: Mapping[str, Image.Image],
    scale: Scale,
    colormap: str,
    side: int = 320,
) -> Image.Image:
    """All maps in one picture with their titles, four in a row, and the scale below."""
    tiles = {"what the model saw": plain(crop, side), **pictures}
    width, height = fit(crop.size, side)
    columns, line = 4, 26
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (columns * (width + 8), rows * (height + line + 8) + 2 * line), "white")
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(16)
    for place, (title, picture) in enumerate(tiles.items()):
        row, column = divmod(place, columns)
        x, y = column * (width + 8) + 4, row * (height + line + 8) + 4
        pen.text((x, y), title, fill="black", font=font)
        page.paste(picture.resize((width, height)), (x, y + line))
    bottom = rows * (height + line + 8) + 4
    page.paste(legend(scale, colormap, width, 12), (4, bottom))
    for position, reading in scale.ticks:
        anchor = "la" if position == 0 else "ra" if position == 1 else "ma"
        pen.text(
            (4 + position * width, bottom + 16), reading, fill="black", font=font, anchor=anchor
        )
    pen.text((width + 16, bottom - 2), scale.label, fill="black", font=font)
    return page
