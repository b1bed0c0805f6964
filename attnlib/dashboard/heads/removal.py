"""A set of heads removed together, and the prediction with and without them."""

from __future__ import annotations

import html
from typing import Any

import altair as alt
import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.heads import decided, names
from attnlib.dashboard.heads.names import Head
from attnlib.dashboard.parts import address, charts, controls, downloads
from attnlib.dashboard.parts.codecs import OneOf, SomeOf
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.tasks import Progress
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads.ablation import HeadEffects, without_heads
from attnlib.heads.decision import ABSENT

TOP = 5
STRONGEST = 5
WITH, WITHOUT = "all heads", "without"


KEY = "heads_removed"


def state(effects: HeadEffects) -> list[Head]:
    """The heads that are removed now, of those that this model has."""
    every = names.every(*effects.change.shape)
    chosen = address.value(
        KEY, [], SomeOf(OneOf(every)), label="Heads removed", of=effects.change.shape
    )
    return [names.parse(text) for text in chosen]


def toggle(effects: HeadEffects, head: Head) -> None:
    """Remove a head too, or put it back."""
    removed = list(st.session_state.get(KEY, []))
    title = names.name(*head)
    st.session_state[KEY] = [n for n in removed if n != title] + [title] * (title not in removed)


def show(
    space: Workspace, prediction: Prediction, effects: HeadEffects, removed: list[Head]
) -> None:
    """Choose heads; the prediction without them beside the one with them."""
    st.markdown("**Heads removed together**")
    layers, heads = effects.change.shape
    controls.several(
        KEY,
        "Heads removed together",
        names.every(layers, heads),
        of=(layers, heads),
        placeholder="Choose heads here, or click them in the picture",
        label_visibility="collapsed",
        help="These heads give nothing to their layer; all others stay as they are.",
    )
    with st.container(horizontal=True):
        st.button(
            "All that repair it" if prediction.wrong else "All that turn it",
            disabled=not effects.repairs,
            on_click=_set,
            args=(effects, effects.repairs),
            help="Remove every head whose removal alone brings the other class.",
        )
        st.button(
            f"The {STRONGEST} strongest",
            on_click=_set,
            args=(effects, strongest(effects)),
            help="Remove the heads that speak most for the predicted class.",
        )
        st.button(
            "Put all back",
            disabled=not removed,
            on_click=_set,
            args=(effects, []),
            help="Remove no head.",
        )
    if not removed:
        st.caption("No head is removed.")
        return
    logits = _logits(space, prediction, removed)
    if logits is not None:
        _compare(space, prediction, effects, logits, len(removed))


def _set(effects: HeadEffects, heads: list[Head]) -> None:
    st.session_state[KEY] = [names.name(*head) for head in heads]


def strongest(effects: HeadEffects) -> list[Head]:
    """The few heads without which the margin falls most."""
    heads = effects.change.shape[1]
    order = np.argsort(effects.change, axis=None, kind="stable")[:STRONGEST]
    return [divmod(int(i), heads) for i in order if effects.change.flat[i] < 0]


def _logits(
    space: Workspace, prediction: Prediction, removed: list[Head]
) -> NDArray[np.float32] | None:
    """Logits ``(C,)`` without these heads."""
    choice, vit = space.choice, space.vit
    sample = space.by_name[prediction.name]
    chosen = tuple(sorted(removed))

    def make() -> NDArray[np.float32]:
        pixels = results.subject(choice, vit, sample).pixels
        values: NDArray[np.float32] = without_heads(vit, pixels, chosen)[0].float().cpu().numpy()
        return values

    def work(progress: Progress) -> NDArray[np.float32]:
        return results.numbers(choice, sample, ("without heads", chosen), make)

    return tasks.run(
        "without heads",
        (choice, sample.sha256, chosen),
        work,
        button="Predict without these heads",
        help="One forward pass in which these heads give nothing.",
        eager=True,
        shared=True,
    )


def _compare(
    space: Workspace,
    prediction: Prediction,
    effects: HeadEffects,
    logits: NDArray[np.float32],
    count: int,
) -> None:
    outputs, decision = space.vit.outputs, decided.of(prediction)
    wide = torch.from_numpy(logits).double()
    after: NDArray[np.float64] = outputs.probabilities(wide).numpy()
    margins = decision.margins(outputs, wide)
    margin = float(margins[effects.predicted] - margins[effects.against])
    st.html(_verdict(space, prediction, int(margins.argmax()), after))
    st.metric(
        "Margin (logits)",
        f"{margin:+.2f}",
        f"{margin - effects.margin:+.2f} from {effects.margin:+.2f}",
        delta_color="off",
        width="content",
        help="Log-odds of what is predicted with all heads against the other.",
    )
    rows = table(space, prediction, after)
    heads = f"without {count} head{'s' * (count > 1)}"
    charts.draw(
        _pairs,
        [{**row, "heads": row["heads"] if row["heads"] == WITH else heads} for row in rows],
        words="Probabilities",
        width=520,
        height=44 * len(rows) // 2 + 70,
        without=heads,
    )
    downloads.table(rows, "prediction-without-heads")


def _verdict(space: Workspace, prediction: Prediction, now: int, after: NDArray[np.float64]) -> str:
    decision = decided.of(prediction)
    label = decision.label

    def said(side: int, probabilities: NDArray[Any]) -> str:
        role = " (true)" if side == decision.true else ""
        share = probabilities[side if label is None else label]
        if label is not None and side == ABSENT:
            share = 1 - share
        return f"<b>{html.escape(decided.name(space, decision, side))}</b>{role} {share:.1%}"

    before = prediction.predicted if label is None else int(label in prediction.said)
    if now == before:
        word, outcome = "unchanged", ""
    elif now == decision.true:
        word, outcome = "repaired", "outcome-right"
    else:
        word, outcome = "changed", "outcome-wrong"
    return (
        f"<div><b class='{outcome}'>{word}</b>: {said(before, prediction.probabilities)} "
        f"→ {said(now, after)}</div>"
    )


def table(
    space: Workspace, prediction: Prediction, after: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Probabilities of the most probable classes with all heads and without some."""
    first = [index for index, _ in prediction.top(TOP)]
    first += [int(i) for i in np.argsort(-after, kind="stable")[:TOP] if int(i) not in first]
    if prediction.label is not None and prediction.label not in first:
        first.append(prediction.label)
    titles = [space.class_name(index) for index in first]
    if len(set(titles)) < len(titles):
        titles = [f"{title} ({index})" for title, index in zip(titles, first, strict=True)]
    return [
        {
            "class": title + (" (true)" * (index == prediction.label)),
            "heads": which,
            "probability": p,
        }
        for index, title in zip(first, titles, strict=True)
        for which, p in (
            (WITH, float(prediction.probabilities[index])),
            (WITHOUT, float(after[index])),
        )
    ]


def _pairs(without: str) -> alt.LayerChart:
    colours = {WITH: charts.GREY, without: charts.MEASURED}
    legend = alt.Legend(orient="top", title=None)
    x = alt.X("probability:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    base = charts.rows().encode(
        x,
        charts.names("class", 150),
        yOffset=alt.YOffset("heads:N", sort=[WITH, without]),
        color=charts.colour("heads", colours, legend),
        tooltip=charts.tips("class", "heads", probability=".4f"),
    )
    return charts.over(base.mark_bar(cornerRadiusEnd=2))
