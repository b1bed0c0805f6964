"""Whether the opened prediction hangs on a hair: small changes of the image, and how far it lies
from the others of its set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.diagnosis.fragile import IMAGE_SHARE, Fragility, fragility
from attnlib.diagnosis.unusual import FEWEST, distances
from attnlib.methods.base import Progress


@dataclass(frozen=True)
class Found:
    """What the changes did; ``farther`` is the share of the set that lies as far out or less."""

    fragility: Fragility
    farther: float | None


def show(space: Workspace, prediction: Prediction) -> None:
    """Behind a button: a pass for each change."""
    if space.vit.outputs.kind != "classes":
        return
    choice, vit = space.choice, space.vit
    sample, predictions = space.by_name[prediction.name], space.predictions
    place = [one.name for one in predictions].index(prediction.name)
    embeddings = np.stack([space.outcomes[one.name].embedding for one in predictions])
    classes = np.array([p.predicted if p.label is None else p.label for p in predictions])

    def work(progress: Progress) -> Found:
        image = results.decoded(choice, vit, sample)
        found = fragility(vit, image, prediction.label, progress)
        if len(classes) < FEWEST:
            return Found(found, None)
        far = distances(embeddings.astype(np.float64), classes)
        return Found(found, float((far <= far[place]).mean()))

    found = tasks.run(
        "stability",
        (choice, sample.sha256, prediction.label, space.stamp),
        work,
        button="Try small changes of the image",
        help="Shifts, crop, mirror, JPEG, noise, blur, brightness and contrast at three "
        "strengths, a pass each: whether the prediction hangs on a hair.",
    )
    if found is None:
        return
    st.markdown(literal(sentence(found.fragility)))
    if found.farther is not None:
        st.caption(
            f"Its features lie as far out as those of {found.farther:.0%} of these images, or "
            "farther (Mahalanobis distance to the nearest class)."
        )
    st.dataframe(
        table(space, found.fragility),
        hide_index=True,
        height=320,
        column_config={
            column: st.column_config.NumberColumn(column, format="percent")
            for column in ("predicted before", "true class")
        },
    )


def sentence(found: Fragility) -> str:
    """How many changes turn it, and whether that is usual."""
    tried = len(found.tried)
    mild = [change for change in found.tried if change.strength == 1]
    turned = [change for change in found.turned if change.strength == 1]
    usual = "which is many" if found.share >= IMAGE_SHARE else "which is usual"
    words = (
        f"{len(found.turned)} of {counted(tried, 'change')} turn the prediction; of the "
        f"{len(mild)} mildest {len(turned)}, {usual}: 92 % of the demo's right images stay "
        f"below {IMAGE_SHARE:.0%}."
    )
    if found.repaired:
        words += f" Repaired by: {', '.join(change.title for change in found.repaired)}."
    return words


def table(space: Workspace, found: Fragility) -> pd.DataFrame:
    """A row for each change, those that turn it first: the prediction, two probabilities (0–1)."""
    label = found.label
    frame = pd.DataFrame(
        {
            "change": [change.kind for change in found.tried],
            "strength": [change.strength for change in found.tried],
            "prediction": [space.class_name(int(index)) for index in found.now],
            "turned": found.now != found.before,
            "predicted before": found.after[:, found.before],
        }
    )
    if label is not None and label != found.before:
        frame["true class"] = found.after[:, label]
    return frame.sort_values("turned", ascending=False, kind="stable", ignore_index=True)
