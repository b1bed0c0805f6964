"""Vectors, matrices and numbers per token as pictures whose values can be read off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.dashboard.parts import downloads, drawn
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.look import token_name
from attnlib.dashboard.parts.pictures import over
from attnlib.dashboard.walk.place import PICTURE, Place
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import heat_image

Values = NDArray[np.floating]

# Okabe & Ito, for heads: more heads than colours repeat them.
HEAD_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d00")


def matrix(
    values: Values,
    title: str,
    *,
    key: str,
    rows: Sequence[str],
    scale: Scale,
    marked: int | None = None,
    width: int = 220,
    channel: str = "channel",
) -> None:
    """A matrix ``(n, m)`` as a heat map; the marked row has lines above and below."""
    n, m = values.shape
    lines = [] if marked is None else [marked, marked + 1]
    picture = heat_image(values, scale, size=(m, n))
    columns = [f"{channel} {i}" for i in range(m)]
    with st.container(width=width, gap=None):
        st.caption(_said(title, scale))
        cells(
            picture,
            (n, m),
            key=key,
            alt=title,
            width=width,
            values=values,
            row_names=rows,
            col_names=columns,
            lines=(lines, []),
            zoom=True,
            aspect=1.0 if width < 400 else 1.9,
        )
        with st.container(horizontal=True, gap="small"):
            downloads.matrix(values, rows, columns, key)
            downloads.picture(lambda: picture, key)


def strip(values: Values, title: str, *, key: str, scale: Scale, heads: int = 0) -> None:
    """A vector as one line of cells; with ``heads``, a band above has a colour for each head."""
    size = len(values)
    across = 2 if size * 2 <= 1000 else 1
    picture = heat_image(values[None], scale, size=(size * across, 26)).convert("RGB")
    if heads:
        picture = _banded(picture, heads)
    with st.container(gap=None):
        st.caption(_said(title, scale))
        names = [f"channel {i}" for i in range(size)]
        if heads:
            each = size // heads
            names = [f"head {i // each}, channel {i % each}" for i in range(size)]
        enlarged = picture.resize((1400, 44), Image.Resampling.NEAREST)
        cells(
            enlarged,
            (1, size),
            key=key,
            alt=title,
            width=700,
            values=values[None],
            cell_names=names,
        )
        downloads.picture(lambda: enlarged, key)


def _banded(picture: Image.Image, heads: int) -> Image.Image:
    width, height = picture.size
    banded = Image.new("RGB", (width, height))
    banded.paste(picture)
    for head in range(heads):
        box = (head * width // heads, 0, (head + 1) * width // heads, height // 4)
        banded.paste(HEAD_COLOURS[head % len(HEAD_COLOURS)], box)
    return banded


def tokens(place: Place, values: Values, title: str, *, key: str, scale: Scale) -> None:
    """A number for each token: patches over the image, prefix tokens in words under it."""
    layout = place.space.vit.layout
    prefix = layout.tokens - layout.patches
    patches = values[prefix:].reshape(layout.grid)
    crop = place.space.inspected(place.prediction.name).picture
    selected = []
    if place.walk.query >= prefix:
        selected = [divmod(place.walk.query - prefix, layout.grid[1])]
    covers = place.space.vit.covers
    picture = over(crop, patches, scale, drawn.style(), 2 * PICTURE, covers)
    with st.container(width=PICTURE, gap=None):
        st.caption(_said(title, scale))
        cells(
            picture,
            layout.grid,
            key=key,
            alt=title,
            width=PICTURE,
            values=patches,
            selected=selected,
            cell_names=place.tokens[prefix:],
            smooth=True,
            covers=covers,
        )
        others = [f"{token_name(layout.prefix[i])}: {float(values[i]):.4g}" for i in range(prefix)]
        if others:
            st.caption(" · ".join(others))
        downloads.picture(lambda: picture, key)


def _said(title: str, scale: Scale) -> str:
    """The title with what the colours stand for."""
    return f"{title} · blue −{scale.high:.3g}, red {scale.high:.3g}" if scale.signed else title


def signed(*arrays: Values, label: str = "value") -> Scale:
    """One scale around zero for several arrays."""
    return Scale.shared(list(arrays), signed=True, label=label)


def numbers(rows: dict[str, Values], name: str) -> None:
    """Vectors of equal length as a table to download."""

    def listed() -> list[dict[str, object]]:
        length = len(next(iter(rows.values())))
        return [
            {"index": i, **{title: float(values[i]) for title, values in rows.items()}}
            for i in range(length)
        ]

    downloads.table(listed, name)
