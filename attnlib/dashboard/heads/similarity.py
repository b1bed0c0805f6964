"""Which heads are alike: a heat map of all pairs, and the diversity of each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.heads import comparison, heat_map, images, names, pairs, reasons
from attnlib.dashboard.parts import address, cells, charts, controls, downloads
from attnlib.dashboard.parts.codecs import Number, alone
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.errors import AttnlibError
from attnlib.heads import Similarity, cluster_order, diversity
from attnlib.heads.similarity import Measure

WIDTH = 540
EVERY_LAYER = "all layers"
SIMILARITY, EUCLIDEAN = "1 − similarity", "Euclidean distance"


@dataclass(frozen=True)
class Pair:
    """Two heads by their numbers in L·H, ``3-7`` in an address; None is no choice."""

    heads: int

    def read(self, texts: list[str]) -> tuple[int, int] | None:
        """The pair.

        Raises:
            ValueError: it is not two heads of this model.
        """
        allowed = f"two of {self.heads} heads, as 3-7"
        one = Number(0, self.heads - 1)
        parts = alone(texts, allowed).split("-")
        try:
            first, second = (one.read([part]) for part in parts)
        except ValueError:
            raise ValueError(allowed) from None
        return first, second

    def write(self, value: tuple[int, int] | None) -> list[str]:
        """The numbers."""
        return [] if value is None else [f"{value[0]}-{value[1]}"]


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """Controls, the heat map beside the pair that was clicked, then the layers' diversity."""
    problem = reasons.no_rows(space)
    if problem:
        st.info(problem)
        return
    try:
        shape = comparison.layers_and_heads(space, prediction)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            samples = images.scope(space, prediction)
            measure = comparison.measure()
            layer = _layer(shape[0])
            clustered = controls.toggle(
                "heads_cluster",
                "Cluster",
                default=True,
                help="Put similar heads next to each other; off is the order of layers.",
            )
        found = comparison.compared(space, samples, measure, "similarity of heads")
        if found is None:
            return
        shown = _shown(found, shape, layer, clustered)
        with st.container(horizontal=True, gap="medium"):
            with st.container(width=WIDTH):
                pair = _heat_map(space, found, shown, shape, measure, layer, clustered)
            with st.container(width=pairs.WIDTH):
                pairs.show(space, samples, measure, pair, shape, found)
        _diversity(space, samples, found, shape[0], measure)
    except AttnlibError as error:
        st.warning(literal(str(error)))


def _layer(layers: int) -> int | None:
    # To Streamlit, None is that nothing is chosen.
    every = -1
    found = controls.choice(
        "heads_layer",
        "Heads of",
        [every, *range(layers)],
        title=lambda layer: EVERY_LAYER if layer == every else f"layer {layer}",
        width=140,
        help="Compare all heads of the model, or those of one layer; layers count from 0.",
    )
    return None if found == every else found


def _shown(
    found: Similarity, shape: tuple[int, int], layer: int | None, clustered: bool
) -> NDArray[np.intp]:
    """Numbers (in L·H) of the heads in the order in which they are shown."""
    layers, heads = shape
    of_interest = np.arange(layers * heads)
    if layer is not None:
        of_interest = of_interest[layer * heads : (layer + 1) * heads]
    if not clustered:
        return of_interest
    return of_interest[cluster_order(found.values[np.ix_(of_interest, of_interest)])]


def _heat_map(
    space: Workspace,
    found: Similarity,
    shown: NDArray[np.intp],
    shape: tuple[int, int],
    measure: Measure,
    layer: int | None,
    clustered: bool,
) -> tuple[int, int]:
    """Draw all pairs; returns the pair in question, as numbers in L·H."""
    layers, heads = shape
    values = found.values[np.ix_(shown, shown)]
    titles = [names.name(*divmod(int(i), heads)) for i in shown]
    pair = chosen_pair(found.values, shown)
    place = {int(head): i for i, head in enumerate(shown)}
    first, second = place[pair[0]], place[pair[1]]
    scale = comparison.scale(measure)
    size = len(shown)
    borders = [heads * i for i in range(1, layers)] if not clustered and layer is None else []

    def pick(cell: cells.Cell) -> None:
        st.session_state["heads_pair"] = (int(shown[cell[0]]), int(shown[cell[1]]))

    over = f"{found.images} images" if found.images > 1 else "this image"
    how = "on " if found.images == 1 else "pooled over " if measure == "pooled" else "mean over "
    st.markdown(f"**{size} heads, {how}{over}**")
    picture = heat_map.show(
        values,
        titles,
        scale,
        width=WIDTH,
        selected=sorted({(first, second), (second, first)}),
        on_pick=pick,
        lines=borders,
    )
    legend_bar(scale, comparison.MEANING[measure], width=260)
    st.caption(
        f"Query: {space.vit.layout.query}. Click a cell to see the maps of its two heads"
        + ("; the wheel zooms, dragging moves." if size > 12 else ".")
    )
    stem = f"head-similarity-{measure}" + ("" if layer is None else f"-layer-{layer}")
    with st.container(horizontal=True):
        downloads.matrix(values, titles, titles, stem)
        downloads.picture(lambda: picture, stem)
    return pair


def chosen_pair(values: NDArray[np.float64], shown: NDArray[np.intp]) -> tuple[int, int]:
    """The pair that was clicked, if it is shown; else the two most alike of those shown."""
    chosen = address.value("heads_pair", None, Pair(len(values)), label="Pair of heads")
    if chosen is not None and set(chosen) <= set(shown.tolist()):
        return chosen
    if len(shown) < 2:
        return int(shown[0]), int(shown[0])
    apart = values[np.ix_(shown, shown)].copy()
    np.fill_diagonal(apart, -np.inf)
    # Two heads are as alike as the other way round but for rounding, which is not to order them.
    first, second = sorted(int(shown[i]) for i in np.unravel_index(apart.argmax(), apart.shape))
    return first, second


def _diversity(
    space: Workspace,
    samples: tuple[Sample, ...],
    found: Similarity,
    layers: int,
    measure: Measure,
) -> None:
    """How different the heads of each layer are: one bar for each."""
    if len(found.values) == layers:
        st.caption("Each layer has one head, so heads within a layer cannot differ.")
        return
    st.subheader("Diversity of heads within each layer")
    by = controls.segments(
        "heads_diversity",
        "Diversity as",
        [SIMILARITY, EUCLIDEAN],
        help="By the measure of similarity chosen above, or as the straight distance between "
        "the maps of two heads, taken as lists of shares.",
    )
    if by == EUCLIDEAN:
        distances = comparison.distances(space, samples, layers)
        if distances is None:
            return
        values, title, stem = distances, "Euclidean distance", "euclidean"
        st.caption(
            "The mean Euclidean distance between the maps of all pairs of heads of a layer, each a "
            "list of shares of attention: 0 means that they all do the same, √2 = 1.414 is two "
            "heads that look at one patch each, and not at the same."
        )
    else:
        values, title, stem = diversity(found.values, layers), "mean of 1 − similarity", measure
        st.caption(
            f"The mean distance 1 − similarity ({comparison.TITLES[measure]}) over all pairs of "
            "heads of a layer: 0 means that they all do the same."
        )
    rows: list[dict[str, Any]] = [
        {"layer": layer, title: float(value)} for layer, value in enumerate(values)
    ]
    charts.draw(
        _diversities,
        [{"layer": row["layer"], "value": row[title]} for row in rows],
        words="Diversity of heads by layer",
        width=min(720, 110 + 46 * layers),
        height=200,
        title=title,
    )
    downloads.table(rows, f"head-diversity-{stem}")


def _diversities(title: str) -> alt.LayerChart:
    base = charts.rows().encode(
        charts.layer_axis(),
        alt.Y("value:Q", title=title),
        tooltip=[*charts.tips("layer"), alt.Tooltip("value:Q", title=title, format=".3f")],
    )
    return charts.over(base.mark_bar(color=charts.LINEAR, cornerRadiusEnd=3))
