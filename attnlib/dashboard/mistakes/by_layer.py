"""What the model would say after each layer (the logit lens): where the true class loses."""

from __future__ import annotations

import altair as alt
import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.capture import passes
from attnlib.capture.lens import lens
from attnlib.dashboard.parts import charts, controls, downloads
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError

Numbers = NDArray[np.float64]
PROBABILITY, LOGIT = "Probability", "Logit"


def show(space: Workspace, prediction: Prediction) -> None:
    """Behind a switch, since it costs a pass."""
    if not space.vit.support.calls("layer"):
        return
    if not controls.toggle(
        "lens_open",
        "Answer after each layer",
        help="What the model would say if it ended after each of its layers (the logit lens).",
    ):
        return
    space = space.about(prediction.name)
    logits = _logits(space, prediction)
    if logits is None:
        return
    if isinstance(logits, AttnlibError):
        st.warning(literal(str(logits)), title="There is no answer after each layer")
        return
    scores = space.vit.outputs.scores(torch.from_numpy(logits)).numpy()
    shares = space.vit.outputs.probabilities(torch.from_numpy(logits)).numpy()
    kinds = [PROBABILITY, LOGIT] if space.vit.outputs.classifies else [LOGIT]
    kind = controls.segments(
        "lens_kind",
        "Measure",
        kinds,
        of=tuple(kinds),
        help="Probabilities, or the scores before them (logits), which say more in early layers.",
    )
    values = shares if kind == PROBABILITY else scores
    classes = list(dict.fromkeys([prediction.predicted, *_true(prediction)]))
    st.markdown(sentence(space, prediction, shares))
    rows = table(space, prediction, values, classes)
    charts.draw(
        _lines,
        rows,
        words=f"{kind} of the predicted and the true class after each layer",
        width=520,
        height=300,
        title=kind.lower(),
    )
    st.caption(
        "The tokens after each layer are given to the model's own last steps, as if the later "
        "layers were not there. These are trained for the last layer's tokens: in early layers "
        "the numbers are rough, and what is read there need not be what the model knows."
    )
    downloads.table(rows, f"{stem_of(prediction.name)}-logit-lens")


def _true(prediction: Prediction) -> list[int]:
    return [] if prediction.label is None else [prediction.label]


def _logits(space: Workspace, prediction: Prediction) -> Numbers | AttnlibError | None:
    """The logits ``(L, C)`` after each layer, or why there are none."""
    choice, vit, sample = space.choice, space.vit, space.by_name[prediction.name]

    def work(progress: tasks.Progress) -> Numbers | AttnlibError:
        pixels = results.subject(choice, vit, sample).pixels
        record = results.inspect(choice, vit, [sample])[0]
        known = record.record.logits if isinstance(record, results.Inspected) else None
        try:
            with passes.admitted():
                found = lens(
                    vit, pixels, expected=None if known is None else torch.from_numpy(known.copy())
                )
            return np.asarray(found.logits.double().cpu().numpy())
        except AttnlibError as error:
            return error

    return tasks.run(
        "logit lens",
        (choice, sample.sha256),
        work,
        button="Answer after each layer",
        help="One forward pass.",
        eager=True,
        shared=True,
    )


def sentence(space: Workspace, prediction: Prediction, shares: Numbers) -> str:
    """Since which layer the answer is what it is, and where the true class lost."""
    last, top = len(shares) - 1, shares.argmax(axis=1)
    predicted = prediction.predicted
    name = literal(space.class_name(predicted))
    if prediction.kind != "classes" or top[-1] != predicted:
        return f"{len(shares)} layers, counted from 0."
    since = next(k for k in range(last, -1, -1) if k == 0 or top[k - 1] != predicted)
    words = f"“{name}” is ahead of all others after layer {since:d} and from then on."
    if since == last:
        words = f"“{name}” is ahead of all others after the last layer, {last}, only."
    label = prediction.label
    if label is None or label == predicted:
        return words
    true = literal(space.class_name(label))
    ahead = np.flatnonzero(shares[:, label] > shares[:, predicted])
    if not len(ahead):
        return f"{words} The true class “{true}” is behind it after every layer."
    lost = int(ahead[-1]) + 1
    return (
        f"{words} The true class “{true}” loses to it in **layer {lost}**: until then it is ahead "
        f"({shares[lost - 1, label]:.0%} against {shares[lost - 1, predicted]:.0%} after layer "
        f"{lost - 1}), then behind ({shares[lost, label]:.0%} against "
        f"{shares[lost, predicted]:.0%})."
    )


def table(
    space: Workspace, prediction: Prediction, values: Numbers, classes: list[int]
) -> list[dict[str, object]]:
    """One row per layer and class."""
    return [
        {
            "layer": layer,
            "class": space.class_name(index),
            "role": "predicted" if index == prediction.predicted else "true",
            "value": float(values[layer, index]),
        }
        for index in classes
        for layer in range(len(values))
    ]


def _lines(title: str) -> alt.LayerChart:
    legend = alt.Legend(orient="bottom", title=None, columns=1, labelLimit=300)
    scale = alt.Scale(domain=[0, 1]) if title == PROBABILITY.lower() else alt.Scale(zero=False)
    line = charts.rows().mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=55, filled=True))
    named = line.transform_calculate(who="datum.class + ' (' + datum.role + ')'")
    return charts.over(
        named.encode(
            charts.layer_axis(),
            alt.Y("value:Q", title=title, scale=scale),
            alt.Color("who:N", sort=None, legend=legend),
            tooltip=charts.tips("layer", "who", value=".3f"),
        )
    )
