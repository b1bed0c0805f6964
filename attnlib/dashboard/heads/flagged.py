"""Heads that stand out: redundant, one-hot and uniform ones, against adjustable thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.dashboard.heads import comparison, grid, names
from attnlib.dashboard.parts import controls, downloads
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.heads import Flags, HeadStatistics, flag
from attnlib.heads.flags import ONE_HOT, REDUNDANT, UNIFORM
from attnlib.pictures.colormaps import Scale

WIDTH = 294


@dataclass(frozen=True)
class Kind:
    """One way to stand out.

    Attributes:
        what: the number that is compared with the threshold.
        mean: what a head that stands out does.
    """

    name: str
    what: str
    mean: str
    threshold: float


REDUNDANT_KIND = Kind(
    "redundant",
    "similarity to the most alike head of its layer",
    "Does what another head of its layer does.",
    REDUNDANT,
)
ONE_HOT_KIND = Kind(
    "one-hot",
    "largest share on one token",
    "Gives nearly all attention to one token.",
    ONE_HOT,
)
UNIFORM_KIND = Kind(
    "uniform",
    "entropy, × log N",
    "Looks at all patches alike.",
    UNIFORM,
)
KINDS = (REDUNDANT_KIND, ONE_HOT_KIND, UNIFORM_KIND)


def show(space: Workspace, samples: tuple[Sample, ...], statistics: HeadStatistics) -> None:
    """Three kinds side by side, each with its threshold, its map and its heads."""
    st.subheader("Heads that stand out")
    measure = comparison.measure()
    similarity = comparison.compared(space, samples, measure, "similarity for flags")
    if similarity is None:
        return
    with st.container(horizontal=True, gap="medium"):
        for kind in KINDS:
            with st.container(width=WIDTH, gap="small"):
                st.markdown(f"**{kind.name.capitalize()}**")
                st.caption(kind.mean)
                limit = _threshold(kind)
                flags = flag(similarity, statistics, **{kind.name.replace("-", "_"): limit})
                _kind(kind, limit, flags)


def _threshold(kind: Kind) -> float:
    return controls.slider(
        f"heads_threshold_{kind.name}",
        f"Threshold: {kind.what}",
        0.0,
        1.0,
        kind.threshold,
        0.01,
        help=f"Heads at or above it count as {kind.name}; nothing is computed again.",
    )


def _kind(kind: Kind, limit: float, flags: Flags) -> None:
    values, hit = of(kind, flags)
    layers, heads = values.shape
    if kind is REDUNDANT_KIND and heads < 2:
        st.info("Each layer has one head, so none can repeat another.")
        return
    marked = [(int(layer), int(head)) for layer, head in np.argwhere(hit)]
    grid.show(
        values,
        Scale(-1.0, 1.0, True, kind.what, mark=0.0)
        if values.min() < 0
        else Scale(0.0, 1.0, False, kind.what),
        key=f"heads-{kind.name}",
        width=max(190, 20 * heads),
        colormap="viridis",
        marks=marked,
        cell_names=[describe(kind, flags, (i, j)) for i in range(layers) for j in range(heads)],
    )
    if not marked:
        top = np.unravel_index(int(values.argmax()), values.shape)
        head = (int(top[0]), int(top[1]))
        st.info(
            f"No head is {kind.name}: the largest value is {values[head]:.3f} "
            f"({describe(kind, flags, head)}), below {limit:.2f}."
        )
        return
    st.markdown(f"**{len(marked)} of {values.size}** heads (○) at or above {limit:.2f}:")
    marked.sort(key=lambda head: -float(values[head]))
    rows: list[dict[str, object]] = [
        {
            "head": describe(kind, flags, head),
            "value": round(float(values[head]), 4),
            "threshold": limit,
        }
        for head in marked
    ]
    st.dataframe(rows, hide_index=True, height=36 * (min(len(rows), 6) + 1), alt=kind.name)
    downloads.table(rows, f"heads-{kind.name}-list", "These heads (CSV)")


def of(kind: Kind, flags: Flags) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """The values of a kind ``(L, H)`` and which of them reach the threshold."""
    if kind is REDUNDANT_KIND:
        return flags.twin, flags.redundant
    if kind is ONE_HOT_KIND:
        return flags.peak, flags.one_hot
    return flags.entropy, flags.uniform


def describe(kind: Kind, flags: Flags, head: names.Head) -> str:
    """The head's name, and for a redundant one its twin's."""
    title = names.name(*head)
    if kind is not REDUNDANT_KIND:
        return title
    return f"{title} like {names.name(head[0], int(flags.twin_head[head]))}"
