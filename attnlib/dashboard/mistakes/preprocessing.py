"""Whether the images are prepared as in the model's training: tried out on those with labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.audit import Prediction
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


def fits(space: Workspace) -> bool:
    """Whether there is anything to try it on."""
    return space.vit.outputs.classifies and any(p.true is not None for p in space.predictions)


def show(space: Workspace) -> None:
    """A button, then accuracy and confidence under the usual preparations, and the best to take."""
    labelled = [p for p in space.predictions if p.true is not None]
    chosen = sorted(np.random.default_rng(0).permutation(len(labelled))[:MOST].tolist())
    pairs = [(space.by_name[labelled[i].name], _true(labelled[i])) for i in chosen]
    st.caption(
        "A model gets worse without a word when its images are not prepared as in its "
        f"training. The usual preparations are tried on {len(pairs)} images with labels."
    )
    choice, vit, threshold = space.choice, space.vit, space.threshold
    own = models.get(choice.plain, space.session.upload).preparation
    found = tasks.run(
        "preprocessing",
        (choice, threshold, tuple((sample.sha256, true) for sample, true in pairs)),
        lambda progress: _check(choice, vit, pairs, own, threshold, progress),
        button="Check the preprocessing",
        help="Some nine passes of each image; it runs beside the page and can be stopped.",
        shared=True,
    )
    if found is not None:
        _results(found)


def _true(prediction: Prediction) -> int | frozenset[int]:
    """The class of an image, or its independent labels."""
    true = prediction.true or frozenset()
    return true if prediction.kind == "labels" else next(iter(true))


def _check(
    choice: ModelChoice,
    vit: Vit,
    pairs: list[tuple[Sample, int | frozenset[int]]],
    own: Preparation,
    threshold: float,
    progress: tasks.Progress,
) -> Check:
    def decode(sample: Sample) -> Callable[[], Image.Image]:
        return lambda: results.decoded(choice, vit, sample)

    labels = [true for _, true in pairs]
    images = [decode(sample) for sample, _ in pairs]
    return check(vit, images, labels, progress, own=own, threshold=threshold)


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
