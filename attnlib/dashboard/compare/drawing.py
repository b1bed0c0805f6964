"""How maps in multiples of uniform are drawn: one scale, one legend, one style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from attnlib.dashboard.parts import controls, drawn
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.pictures import Style, fit, over, plain
from attnlib.dashboard.parts.style import colour_bar
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import legend

Map = NDArray[np.float64]
UNIFORM = "× uniform"
# How numbers become colours. By their ratio to uniform, an even map keeps its colours beside a
# peaked one, and what is uniform has none.
RATIO, LINEAR, PER_MAP = "above or below uniform", UNIFORM, "per map"
KINDS = (RATIO, LINEAR, PER_MAP)
# Where the scale ends: the peak of one coarse map would leave the others without colours.
ENDS = {"largest value": 1.0, "98 % of patches": 0.98, "90 % of patches": 0.9}
# A map whose every patch is within this share of uniform is said to be nearly so.
NEARLY = 0.2


@dataclass(frozen=True)
class Look:
    """How maps are drawn, the same for all that are compared.

    Attributes:
        end: quantile of all shown values at which a shared scale ends; larger values get the
            last colour. By ratio, so do those as far below uniform.
        kind: one of ``KINDS``.
    """

    style: Style = field(default_factory=Style)
    end: float = 0.9
    kind: str = RATIO

    def scale(self, maps: Iterable[Map]) -> Scale:
        """One scale for maps in multiples of uniform; per map, what the legend shows."""
        if self.kind == PER_MAP:
            return Scale(0.0, 1.0, False, "0 = the map's smallest value, 1 = its largest")
        values = np.stack(list(maps))
        # A count of 1: these values are multiples of uniform already.
        make = Scale.times_uniform if self.kind == LINEAR else Scale.around_uniform
        return make(np.asarray([np.quantile(values, self.end)]), 1)

    def own(self, values: Map, shared: Scale) -> Scale:
        """The scale of one map: that of all, or with a scale per map its own."""
        return Scale.per_image(values, UNIFORM) if self.kind == PER_MAP else shared

    def meaning(self) -> str:
        """What a colour says, in Markdown."""
        if self.kind == PER_MAP:
            return (
                "**Per map** · each map from its own smallest to its own largest value, which "
                "stand above it: colours do not compare between maps, and an even map looks as "
                "strong as any. "
            )
        if self.kind == LINEAR:
            return f"**{UNIFORM}** · one scale for all; larger values have the last colour. "
        return (
            f"**{UNIFORM}**, by ratio · one scale for all: red is more than uniform, blue is less, "
            "and half is as blue as double is red. No colour is uniform. "
        )

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
        return over(crop, values, scale, self.style, side, covers)


def choose() -> Look:
    """The expander “Scale of the maps”."""
    with (
        st.expander("Scale of the maps", icon=":material/palette:"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        kind = controls.segments(
            "compare_scale",
            "Colours show",
            KINDS,
            help="One scale for all maps: how far above or below an equal share for every patch "
            "each one is, or plain multiples of that share. Or each map on a scale of its own.",
        )
        end = controls.segments(
            "compare_end",
            "Scale ends at",
            list(ENDS),
            default="90 % of patches",
            help="Larger values get the last colour; a lower end shows more of the even maps.",
        )
    return Look(drawn.style(), ENDS[end], kind)


def reach(values: Map) -> str:
    """From where to where a map in multiples of uniform goes, and whether that is even."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-3:
        return "uniform: every patch gets the same"
    words = f"{low:.2g} to {high:.3g} ×"
    even = 1 - low <= NEARLY and high - 1 <= NEARLY
    return f"nearly uniform, {low:.3g} to {high:.3g} ×" if even else words


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


def show_legend(
    scale: Scale, look: Look | None, text: str, width: int = 420, colormap: str | None = None
) -> None:
    """The colour bar with its numbers, and in words what they mean.

    Args:
        look: of maps that lie over pictures; None for a matrix, which has ``colormap``.
    """
    colour_bar(scale, colormap, width, None if look is None else look.style)
    st.caption(text)


def sheet(
    crop: Image.Image,
    pictures: Mapping[str, Image.Image],
    scale: Scale,
    look: Look,
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
    palette = None if scale.signed else look.style.colormap
    page.paste(legend(scale, palette, width, 12), (4, bottom))
    for position, reading in scale.ticks:
        anchor = "la" if position == 0 else "ra" if position == 1 else "ma"
        pen.text(
            (4 + position * width, bottom + 16), reading, fill="black", font=font, anchor=anchor
        )
    pen.text((width + 16, bottom - 2), scale.label, fill="black", font=font)
    return page
