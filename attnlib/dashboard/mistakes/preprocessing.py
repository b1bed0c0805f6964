"""Whether the images are prepared as in the model's training: tried out on those with labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.dashboard.parts import downloads, preprocessing
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.state import models, results, tasks
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.collection import Sample
from attnlib.evaluation.preprocessing import Check, Tried, check
from attnlib.model.preparation import Preparation
from attnlib.model.vit import Vit

# Some nine passes each; drawn at random, always the same ones.
MOST = 200


def show(space: Workspace) -> None:
    """A button, then accuracy and confidence under the usual preparations, and the best to take."""
    labelled = [p for p in space.predictions if p.label is not None]
    if space.vit.outputs.kind not in ("classes", "binary") or not labelled:
        return
    with st.expander("Check the preprocessing", icon=":material/tune:"):
        chosen = sorted(np.random.default_rng(0).permutation(len(labelled))[:MOST].tolist())
        pairs = [
            (space.by_name[labelled[i].name], label)
            for i in chosen
            if (label := labelled[i].label) is not None
        ]
        st.caption(
            "A model gets worse without a word when its images are not prepared as in its "
            f"training. The usual preparations are tried on {len(pairs)} images with labels."
        )
        choice, vit = space.choice, space.vit
        own = models.get(choice.plain, space.session.upload).preparation
        found = tasks.run(
            "preprocessing",
            (choice, tuple((sample.sha256, label) for sample, label in pairs)),
            lambda progress: _check(choice, vit, pairs, own, progress),
            button="Check the preprocessing",
            help="Some nine passes of each image; it runs beside the page and can be stopped.",
            shared=True,
        )
        if found is not None:
            _results(found)


def _check(
    choice: ModelChoice,
    vit: Vit,
    pairs: list[tuple[Sample, int]],
    own: Preparation,
    progress: tasks.Progress,
) -> Check:
    def decode(sample: Sample) -> Callable[[], Image.Image]:
        return lambda: results.decoded(choice, vit, sample)

    labels = [label for _, label in pairs]
    return check(vit, [decode(s) for s, _ in pairs], labels, progress, own=own)


def _results(found: Check) -> None:
    shown = found.best or found.leading
    (st.warning if found.best is not None else st.info)(literal(found.sentence))
    if shown is not None:
        st.button(
            f"Prepare images so: {shown.title}",
            on_click=preprocessing.take,
            args=(dict(shown.changes),),
            help="Puts these settings into “Preprocessing” in the sidebar, to be undone there.",
        )
    rows = [_row(found, tried) for tried in found.tried]
    share = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            # All numbers are seen beside it on a narrow page.
            "prepared": st.column_config.TextColumn(width="medium"),
            "accuracy": share,
            "mean confidence": share,
        },
    )
    downloads.table(rows, "preprocessing")


def _row(found: Check, tried: Tried) -> dict[str, object]:
    return {
        "prepared": tried.title,
        "right": int(tried.right.sum()),
        "accuracy": tried.accuracy,
        "mean confidence": float(tried.confidence.mean()),
        "loss, calibrated": round(float(tried.loss.mean()), 4),
        "p, corrected": "" if tried is found.now else _p(found.p_value(tried)),
    }


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
