"""Where heads peak: the token that gets the largest share of the query's attention."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.heads import names
from attnlib.dashboard.parts import cells, downloads, drawn
from attnlib.dashboard.parts.pictures import over
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads import HeadStatistics
from attnlib.pictures.colormaps import Scale

SIDE = 198


def show(space: Workspace, prediction: Prediction, found: HeadStatistics) -> None:
    """How many heads peak at each patch of the image, over the crop."""
    if (found.peak_token < 0).any():
        st.caption("Peaks are at other places in every image: choose “This image” to see where.")
        return
    counts, on_prefix = counted(space, found)
    crop = space.inspected(prediction.name).picture
    scale = Scale(0.0, max(2.0, float(counts.max())), False, "heads that peak here")
    style = drawn.style()
    picture = over(crop, counts, scale, style, 2 * SIDE, space.vit.covers)
    with st.container(width=SIDE + 10, gap="xsmall"):
        st.markdown("**Where heads peak**")
        elsewhere = ", ".join(f"{count} on {token}" for token, count in on_prefix.items() if count)
        st.caption(f"Besides: {elsewhere}" if elsewhere else "All on patches")
        cells.cells(
            picture,
            counts.shape,
            key="head-peaks",
            alt="Number of heads that peak at each patch",
            width=SIDE,
            cell_names=_patches(space, found),
            smooth=True,
            covers=space.vit.covers,
        )
        legend_bar(scale, width=SIDE, style=style)
        downloads.picture(lambda: picture, "head-peaks")


def counted(space: Workspace, found: HeadStatistics) -> tuple[NDArray[np.int64], dict[str, int]]:
    """How many heads peak at each patch ``(rows, cols)``, and at each prefix token."""
    layout = space.vit.layout
    prefix = len(layout.prefix)
    counts = np.bincount(found.peak_token.astype(int).ravel(), minlength=layout.tokens)
    on_prefix = {token: int(counts[i]) for i, token in enumerate(layout.prefix)}
    return counts[prefix:].reshape(layout.grid), on_prefix


def token(space: Workspace, found: HeadStatistics, layer: int, head: int) -> str:
    """The token where a head peaks; "" in a mean over images, which has no such place."""
    index = int(found.peak_token[layer, head])
    return "" if index < 0 else space.vit.layout.token_name(index)


def titles(space: Workspace, found: HeadStatistics) -> list[str]:
    """Each head with the token where it peaks, to be read under the pointer."""
    layers, heads = found.peak.shape
    result = []
    for layer in range(layers):
        for head in range(heads):
            at = token(space, found, layer, head)
            result.append(names.name(layer, head) + (f" at {at}" if at else ""))
    return result


def _patches(space: Workspace, found: HeadStatistics) -> list[str]:
    """For each patch its name and the heads that peak there."""
    layout = space.vit.layout
    prefix = len(layout.prefix)
    there: dict[int, list[str]] = {}
    for (layer, head), index in np.ndenumerate(found.peak_token.astype(int)):
        there.setdefault(index - prefix, []).append(names.name(layer, head))
    return [
        f"{layout.token_name(prefix + i)}: " + (", ".join(there[i]) if i in there else "no head")
        for i in range(layout.patches)
    ]
