"""Whether a map stands on outlier tokens, in a sentence under it."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import Prediction
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.errors import AttnlibError
from attnlib.heads.outliers import share_on, token_norms
from attnlib.methods import Heat


def show(space: Workspace, prediction: Prediction, heat: Heat) -> None:
    """Nothing where the image has no such tokens, as in most models."""
    space = space.about(prediction.name)
    if not space.vit.support.calls("layer"):
        return
    outlying = _outlying(space, prediction)
    if outlying is not None and outlying.any():
        st.caption(sentence(heat, outlying))


def sentence(heat: Heat, outlying: NDArray[np.bool_]) -> str:
    """How much of the map is on them."""
    return (
        f"{counted(int(outlying.sum()), 'patch', 'patches')} of {outlying.size} "
        f"{'hold' if outlying.sum() > 1 else 'holds'} notes of the model's own (outlier tokens, "
        f"far longer than others): **{share_on(heat.values, outlying):.0%} of this map** stands "
        f"there, on {outlying.mean():.0%} of the patches. It need not be about these places."
    )


def _outlying(space: Workspace, prediction: Prediction) -> NDArray[np.bool_] | None:
    """``(rows, cols)``, the outliers; None while they are looked for."""
    choice, vit, sample = space.choice, space.vit, space.by_name[prediction.name]

    def work(progress: tasks.Progress) -> NDArray[np.bool_]:
        # What is typical of the model is looked up once.
        usual = ("typical norms", choice)
        try:
            pixels = results.subject(choice, vit, sample).pixels
            found = token_norms(vit, [pixels], results.kept(usual))[0]
        except AttnlibError:
            return np.zeros(vit.layout.grid, dtype=bool)
        results.keep(usual, found.typical)
        return found.outlying

    return tasks.run(
        "outlier tokens",
        (choice, sample.sha256, "outlier tokens"),
        work,
        button="Look for outlier tokens",
        help="One forward pass.",
        eager=True,
        shared=True,
    )
