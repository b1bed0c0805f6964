"""Does a map depend on what the model learned? Its weights are destroyed layer by layer."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare import drawing
from attnlib.dashboard.compare.compute import times_uniform
from attnlib.dashboard.compare.settings import COMPARED, Settings, light, unsupported
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.evaluation import randomisation
from attnlib.evaluation.randomisation import Stage
from attnlib.methods import METHODS, Heat
from attnlib.model.vit import Vit

SIDE = 100  # nine stages of a small model stand in one row
Rows = list[dict[str, object]]
MEASURES = {"spearman": "Spearman", "overlap": "top 10 % in common"}
# Similarities below this are what unrelated maps of a hundred patches often have.
FAR = 0.5


def show(space: Workspace, prediction: Prediction, target: int, settings: Settings) -> None:
    """The method, then its maps stage by stage and their similarity to the original."""
    possible = [name for name in COMPARED if not unsupported(space.vit, name)]
    for name in COMPARED:
        if reason := unsupported(space.vit, name):
            st.caption(f"{METHODS[name].title} is not available: {literal(reason)}.")
    look = drawing.choose()
    name = controls.choice(
        "compare_random_method",
        "Method",
        possible,
        default="relevance" if "relevance" in possible else possible[0],
        title=lambda key: METHODS[key].title,
        of=tuple(possible),
        width=260,
        help="Whose map is made again with the weights destroyed.",
    )
    method = METHODS[name]
    sample = space.by_name[prediction.name]
    choice, vit = space.choice, space.vit
    wanted = target if method.class_specific else None
    options = settings.options(method)
    found = tasks.run(
        "compare_cascade",
        (choice, sample.sha256, method.name, wanted, tuple(options.items())),
        lambda progress: cascade(choice, vit, sample, method.name, wanted, options, progress),
        button="Randomise the weights from the last layer down",
        help="Works on a copy of the model, one layer more at each stage, and maps the image anew.",
        eager=light(vit) and not method.slow,
        shared=True,
    )
    if found is None:
        return
    original, stages = found
    st.caption(
        "From left to right one more part of the model has its weights shuffled, from the "
        "classifier down to the embedding (Adebayo et al., “Sanity Checks for Saliency Maps”, "
        "NeurIPS 2018). A map that shows what the model learned falls apart."
    )
    _verdict(method.title, original, stages)
    _row(space, prediction, original, stages, look)
    _chart(prediction, original, stages)


def cascade(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    method: str,
    target: int | None,
    options: dict[str, Any],
    progress: tasks.Progress,
) -> tuple[Heat, list[Stage]]:
    """The original map and that of every stage."""
    total = len(randomisation.stages(vit)) + 1
    progress(0, total)
    original = results.heat(choice, vit, sample, method, target, **options)
    stages: list[Stage] = []
    progress(1, total)
    for stage in randomisation.cascade(vit, results.decoded(choice, vit, sample), original):
        stages.append(stage)
        progress(1 + len(stages), total)
    return original, stages


def _verdict(title: str, original: Heat, stages: list[Stage]) -> None:
    last = stages[-1]
    if not randomisation.depends(original, stages):
        st.warning(
            f"{title} does not depend on the weights at all: a model with shuffled weights gives "
            "the same map. It cannot explain what this model learned.",
        )
    elif math.isnan(last.spearman):
        st.info("One of the maps is constant, so its similarity to the original is not defined.")
    elif last.spearman >= FAR:
        st.warning(
            f"With all weights shuffled the map still ranks patches much as before (Spearman "
            f"{last.spearman:.2f}): most of it comes from the image or the architecture."
        )
    else:
        st.success(
            f"The map depends on the weights: with all of them shuffled its rank correlation "
            f"with the original is {last.spearman:.2f}."
        )


def _row(
    space: Workspace,
    prediction: Prediction,
    original: Heat,
    stages: list[Stage],
    look: drawing.Look,
) -> None:
    crop = space.inspected(prediction.name).picture
    grid = space.vit.layout.grid
    entries = [("original", original, "")]
    for stage in stages:
        rank = "–" if math.isnan(stage.spearman) else f"{stage.spearman:.2f}"
        entries.append((stage.name, stage.heat, f"Spearman {rank}"))
    shares = [times_uniform(heat.values) for _, heat, _ in entries]
    known = [values for values in shares if values is not None]
    if not known:
        st.info("No stage has a map with a positive value.")
        return
    scale = look.scale(known)
    pictures = [
        plain(crop, 2 * SIDE)
        if values is None
        else look.draw(crop, values, look.own(values, scale), 2 * SIDE, space.vit.covers)
        for values in shares
    ]
    with st.container(horizontal=True, gap="xsmall"):
        for place, ((name, _, note), values, picture) in enumerate(
            zip(entries, shares, pictures, strict=True)
        ):
            drawing.map_cells(
                picture,
                values,
                grid,
                literal(name),
                f"compare_stage_{place}",
                SIDE,
                note or "as learned",
                covers=space.vit.covers,
            )
    drawing.show_legend(
        scale,
        look,
        f"{look.meaning()}Each map is its share of its own total. Query: {original.query}.",
    )
    stem = f"{stem_of(prediction.name)}-{original.method}-randomised"
    tiles = {name: picture for (name, _, _), picture in zip(entries, pictures, strict=True)}
    downloads.picture(lambda: drawing.sheet(crop, tiles, scale, look), stem, "All stages (PNG)")


def _chart(prediction: Prediction, original: Heat, stages: list[Stage]) -> None:
    rows = table(stages)
    charts.draw(
        _cascade,
        rows,
        words="Similarity of the map to the original at each stage of randomisation",
        width=620,
        height=340,
        numbers={"low": min(0.0, *(float(str(row["similarity"] or 0.0)) for row in rows))},
    )
    st.caption(
        "Similarity to the original map after each stage. Unrelated maps have a rank correlation "
        "near 0 and a tenth of their top patches in common."
    )
    downloads.table(rows, f"{stem_of(prediction.name)}-{original.method}-cascade")


def table(stages: list[Stage]) -> Rows:
    """One row per stage and measure, the original first."""
    rows: Rows = [
        {"stage": "original", "measure": title, "similarity": 1.0} for title in MEASURES.values()
    ]
    for stage in stages:
        for name, title in MEASURES.items():
            value = float(getattr(stage, name))
            known = None if np.isnan(value) else value
            rows.append({"stage": stage.name, "measure": title, "similarity": known})
    return rows


def _cascade() -> alt.LayerChart:
    scale = alt.Scale(domain=[alt.ExprRef("low"), 1.0])
    legend = alt.Legend(orient="top", symbolType="stroke", symbolSize=300, title=None)
    line = charts.rows().mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=60, filled=True))
    drawn = line.encode(
        alt.X("stage:O", sort=None, title="randomised down to", axis=alt.Axis(labelAngle=-40)),
        alt.Y("similarity:Q", scale=scale, title="similarity to the original"),
        alt.Color("measure:N", sort=list(MEASURES.values()), legend=legend),
        tooltip=charts.tips("stage", "measure", similarity=".3f"),
    )
    return charts.over(drawn, numbers=("low",))
