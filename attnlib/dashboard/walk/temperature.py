"""What the scale is there for: the same logits, sharper and flatter."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import streamlit as st
import torch

from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state import results
from attnlib.dashboard.walk.drawing import numbers, tokens
from attnlib.dashboard.walk.place import Place, entropy
from attnlib.heads.intervention import at_temperature
from attnlib.pictures.colormaps import Scale

TEMPERATURES = [round(float(t), 3) for t in np.geomspace(0.1, 10, 41)]


def show(place: Place) -> None:
    """The slider, the weights at 1 and at the chosen temperature, and entropy against it."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        temperature = controls.steps(
            "walk_temperature",
            "Temperature τ",
            TEMPERATURES,
            1.0,
            width=320,
            help="Multiplies √d: below 1 attention sharpens, above 1 it flattens.",
        )
        scaled = not controls.toggle(
            "walk_unscaled_toggle",
            "No scaling at all",
            help="The softmax of the bare scores q · k.",
        )
        whole = controls.toggle(
            "walk_whole",
            "Whole model",
            help="Lets every layer and head of the model run at τ and predict again.",
        )
    walk = place.walk
    used = temperature if scaled else walk.scale
    st.latex(
        r"\alpha_t = \mathrm{softmax}_t\!\left(\frac{q \cdot k_t}{\tau \sqrt d}\right), \quad "
        + (rf"\tau = {temperature:g}" if scaled else r"\tau \sqrt d = 1")
    )
    plain, changed = walk.weights[place.head], walk.at(used)[place.head]
    scale = Scale.times_uniform(np.stack([plain, changed]), len(plain))
    with st.container(horizontal=True, gap="small"):
        tokens(place, plain, f"τ = 1: entropy {entropy(plain):.3f}", key="walk_t1", scale=scale)
        title = f"τ = {temperature:g}" if scaled else "not scaled"
        tokens(
            place, changed, f"{title}: entropy {entropy(changed):.3f}", key="walk_t", scale=scale
        )
        with st.container(width=420):
            _curve(place, used)
    legend_bar(scale, f"query: {place.token}, layer {walk.layer}, head {place.head}")
    numbers({"weight at τ = 1": plain, f"weight, {title}": changed}, "walk-temperature")
    _why(place)
    if whole:
        _predict_again(place, used)


def _curve(place: Place, used: float) -> None:
    rows: list[dict[str, object]] = [
        {"τ": t, "head": head, "entropy": entropy(weights)}
        for t in TEMPERATURES
        for head, weights in enumerate(place.walk.at(t))
    ]
    charts.draw(
        _entropies,
        rows,
        words="Entropy of every head against the temperature",
        width=410,
        height=210,
        more={"used": [{"τ": used}]},
        numbers={"mine": place.head},
    )
    st.caption("This head orange, the others grey; the dashed line is where you are.")
    downloads.table(rows, "entropy-by-temperature")


def _entropies() -> alt.LayerChart:
    x = alt.X("τ:Q", scale=alt.Scale(type="log"))
    y = alt.Y("entropy:Q", scale=alt.Scale(domain=[0, 1]), title="entropy ÷ log T")
    mine = "datum.head == mine"
    lines = (
        charts.rows()
        .mark_line()
        .encode(
            x,
            y,
            detail="head:N",
            color=alt.condition(mine, alt.value(charts.QUADRATIC), alt.value(charts.GREY)),
            opacity=alt.condition(mine, alt.value(1), alt.value(0.4)),
            tooltip=charts.tips("head", "τ", entropy=".3f"),
        )
    )
    here = charts.rule(charts.rows("used").encode(x))
    return charts.over(lines, here, numbers=("mine",))


def _why(place: Place) -> None:
    walk = place.walk
    scores = walk.scores[place.head]
    bare = walk.at(scaled=False)[place.head]
    with st.expander("Why divide by √d?", icon=":material/help:"):
        st.markdown(
            f"A dot product of two vectors of d independent entries of variance 1 has variance d: "
            f"here d = {walk.dimension}, so a standard deviation of √d = "
            f"{math.sqrt(walk.dimension):.3g}. Dividing by √d keeps it at 1 whatever d is, and "
            f"with it the softmax where it still changes with its input. This head's own scores "
            f"have a standard deviation of {scores.std():.3g}, after scaling "
            f"{scores.std() * walk.scale:.3g}. With no scaling its entropy would fall from "
            f"{entropy(walk.weights[place.head]):.3f} to {entropy(bare):.3f}, and its largest "
            f"weight would rise from {walk.weights[place.head].max():.1%} to {bare.max():.1%}. "
            f"(The model was trained with the scale: without it from the start it would have "
            f"learnt smaller q and k.)"
        )


def _predict_again(place: Place, used: float) -> None:
    space = place.space
    sample = space.by_name[place.prediction.name]
    subject = results.subject(space.choice, space.vit, sample)
    logits = results.numbers(
        space.choice,
        sample,
        ("temperature", used),
        lambda: at_temperature(space.vit, subject.pixels, used)[0].float().cpu().numpy(),
    )
    now = space.vit.outputs.probabilities(torch.from_numpy(logits).double()).numpy()
    before = place.prediction.probabilities
    shown = dict.fromkeys([*np.argsort(-now)[:4], *np.argsort(-before)[:4]])
    rows = [
        {
            "class": space.class_name(int(i)),
            "as it is": float(before[i]),
            f"τ = {used:.3g}": float(now[i]),
        }
        for i in shown
    ]
    top = int(now.argmax())
    kept = "still" if top == place.prediction.predicted else "now"
    st.markdown(
        f"With every layer at τ = {used:.3g} the model {kept} says "
        f"**{literal(space.class_name(top))}** ({space.vit.outputs.shown(now[top])})."
    )
    percent = st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
    probable = {"as it is": percent, f"τ = {used:.3g}": percent}
    st.dataframe(
        rows,
        hide_index=True,
        width=520,
        column_config=probable if space.vit.outputs.classifies else None,
    )
