"""Whether attention flow is more than its closed form, and where it would be."""

from __future__ import annotations

import dataclasses

import altair as alt
import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare.compute import flow_of
from attnlib.dashboard.compare.settings import Settings, layers, light
from attnlib.dashboard.parts import charts, downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.methods import METHODS
from attnlib.methods.maxflow import LayeredFlow
from attnlib.model.vit import Vit

Row = dict[str, object]


def show(space: Workspace, prediction: Prediction, flow: LayeredFlow, settings: Settings) -> None:
    """In words for how many patches the closed form holds and why; a chart over source layers."""
    count = layers(space.vit)
    through = settings.source_layer or count
    held, patches = int(flow.closed_form.sum()), flow.closed_form.size
    text = sentence(flow, through)
    if held == patches:
        st.warning(text, title=f"Attention flow is its closed form for all {patches} patches")
    elif held:
        st.info(text, title=f"Attention flow is its closed form for {held} of {patches} patches")
    else:
        st.caption(
            f"Attention flow is nowhere its closed form: for all {patches} patches the layers "
            "in between limit it."
        )
    if count > 1:
        with st.expander("Closed form by source layer", icon=":material/bar_chart:"):
            _by_layer(space, prediction, settings, count)


def sentence(flow: LayeredFlow, through: int) -> str:
    """Why the closed form holds where it does, and what to do."""
    held = int(flow.closed_form.sum())
    full = int((flow.closed_form & (flow.values >= 1 - 1e-9)).sum())
    why = (
        "There the flow is min(source cut, sink cut): the edges out of the readout hold 1, the "
        "edges into the patch hold the sum of its column in the first layer, and no layer in "
        "between is narrower. "
    )
    if full == held:
        why += "The source cut binds for all of them, so they cannot be told apart. "
    elif full:
        why += f"The source cut binds for {full} of them, the sink cut for {held - full}. "
    else:
        why += (
            "The sink cut binds for all of them: the map shows how much the first layer attends "
            "to each patch, whatever the deeper layers do. "
        )
    if through > 1:
        return why + f"A source layer below {through} may tell more."
    return why + "The source layer is already the lowest."


def _by_layer(space: Workspace, prediction: Prediction, settings: Settings, count: int) -> None:
    sample = space.by_name[prediction.name]
    choice, vit = space.choice, space.vit
    base = dataclasses.replace(settings, source_layer=None)
    rows = tasks.run(
        "compare_closed_form",
        (choice, sample.sha256, base),
        lambda progress: over_layers(choice, vit, sample, base, count, progress),
        button="Solve for every source layer",
        help="Solves the maximum flow once for each source layer, to find where it is informative.",
        eager=light(vit),
        shared=True,
    )
    if rows is None:
        return
    st.caption(
        "Patches for which attention flow is only its closed form. Source layers with short bars "
        "are where true maximum flow has something of its own to say."
    )
    charts.draw(
        _by_source,
        rows,
        words="Number of patches at the closed form, by source layer",
        width=420,
        height=200,
        numbers={"high": float(str(rows[0]["patches"]))},
        tip=tuple(rows[0]),
    )
    downloads.table(rows, f"{stem_of(prediction.name)}-closed-form")


def over_layers(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    settings: Settings,
    count: int,
    progress: tasks.Progress,
) -> list[Row]:
    """For each source layer: patches at the closed form, and the range of the flow."""
    rows: list[Row] = []
    for through in range(1, count + 1):
        progress(through - 1, count)
        options = dataclasses.replace(settings, source_layer=through).options(METHODS["flow"])
        flow = flow_of(choice, vit, sample, options)
        rows.append(
            {
                "source layer": through,
                "patches at the closed form": int(flow.closed_form.sum()),
                "patches": flow.values.size,
                "smallest flow": float(np.min(flow.values)),
                "largest flow": float(np.max(flow.values)),
            }
        )
    return rows


def _by_source(tip: tuple[str, ...]) -> alt.LayerChart:
    bars = charts.rows().mark_bar(width=alt.RelativeBandSize(band=0.7))
    x = alt.X("source layer:O", axis=alt.Axis(labelAngle=0))
    y = alt.Y("patches at the closed form:Q", title="patches", scale=charts.upto("high"))
    return charts.over(bars.encode(x, y, tooltip=charts.tips(*tip)), numbers=("high",))
