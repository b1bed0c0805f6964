"""Results of another evaluation beside this session's images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from attnlib.audit.handed import of_predictions
from attnlib.audit.joined import Here, Joined, join
from attnlib.dashboard.state import results as kept
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened
from attnlib.dashboard.triage.elsewhere import bring, confirm, differ, handing, taking
from attnlib.data.results import Results
from attnlib.pictures.overlay import data_uri, png_bytes


def show(space: Workspace) -> None:
    """The files, their columns, the comparison; and this model's results for others."""
    brought = bring.show()
    if brought is not None:
        names = [one.name for one in space.predictions]
        found = confirm.show(brought, space.vit.class_names, names)
        if found is not None:
            _compare(space, found, (brought.stamp, brought.times))
    corrections = sum(bool(space.remark(one.name).should_be) for one in space.predictions)
    if space.predictions:
        handing.show(lambda: results_of(space), corrections)


def _compare(space: Workspace, found: Results, stamp: object) -> None:
    joined: Joined = space.session.memo(
        ("elsewhere", space.choice), (space.stamp, stamp), lambda: join(here(space), found)
    )
    taking.show(space, joined, found)
    differ.show(
        joined,
        found,
        lambda names: pictures(space, names),
        lambda names: opened.open_image(names[0]),
        _check,
    )


def _check() -> None:
    st.session_state["gallery_panel"] = "Preprocessing check"


def here(space: Workspace) -> Here:
    """What this model says of the session's images."""
    names, found = space.vit.class_names, space.predictions
    return Here(
        [one.name for one in found],
        ["" if one.label is None else names[one.label] for one in found],
        [names[one.predicted] for one in found],
        np.array([one.confidence for one in found], np.float64),
        tuple(names),
        np.stack([space.outcomes[one.name].embedding for one in found]) if found else None,
    )


def results_of(space: Workspace) -> Results:
    """This model's results with what was said of the images."""
    found = space.predictions
    embeddings = np.stack([space.outcomes[one.name].embedding for one in found])
    return of_predictions(found, space.vit.class_names, space.session.remarks, embeddings)


def pictures(space: Workspace, names: Sequence[str]) -> list[str | None]:
    """Small pictures of what the model saw."""
    return [_small(space, name) for name in names]


def _small(space: Workspace, name: str) -> str:
    def make() -> str:
        crop = space.crop(name).convert("RGB")
        crop.thumbnail((2 * differ.SIDE, 2 * differ.SIDE))
        return data_uri(png_bytes(crop), "image/png")

    return kept.numbers(space.choice, space.by_name[name], ("small", differ.SIDE), make)
