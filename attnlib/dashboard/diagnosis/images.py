"""Images that show a finding: the crop that the model saw with the place outlined, and a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from attnlib.audit import Prediction
from attnlib.dashboard.parts import board, drawn, pictures
from attnlib.dashboard.parts.board import Card, Figure
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.style import map_legend
from attnlib.dashboard.state import diagnoses, results, startup, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened, verdict
from attnlib.diagnosis import Finding
from attnlib.errors import AttnlibError
from attnlib.methods import METHODS, Heat
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import data_uri, overlay, png_bytes

Region = NDArray[np.bool_]

MOST, SIDE = 6, 148  # images; pixels on screen
_GALLERY = startup.PAGES / "prediction_debugging" / "page.py"
# Of an image that was clicked: the page of its case is opened after its callback.
_GO = "diagnosis_go"


@dataclass(frozen=True)
class Made:
    """Maps by name, and why others are missing."""

    heats: dict[str, Heat]
    problem: str


def show(space: Workspace, code: str, finding: Finding) -> None:
    """Those that show it best and those that speak against it.

    Each is the crop with the place outlined, and the map of its prediction.
    """
    if st.session_state.pop(_GO, False):
        st.switch_page(_GALLERY)
    shown = _there(space, diagnoses.images(finding))
    others = [name for one in finding.evidence_against for name in one.images]
    against = [name for name in _there(space, others) if name not in shown]
    if not shown and not against:
        return
    method = _method(space)
    made = None if method is None else _maps(space, [*shown, *against], method)
    outlined = any(region(space, finding, name) is not None for name in [*shown, *against])
    _words(space, method, made, outlined)
    more = len(diagnoses.images(finding)) - len(shown)
    if more > 0:
        st.caption(f"{len(shown)} of {len(shown) + more:d} images, the most certain first:")
    _board(space, f"diagnosis_{code}", finding, shown, made)
    if against:
        st.caption("Of what speaks against it:")
        _board(space, f"diagnosis_against_{code}", finding, against, made)


def _there(space: Workspace, names: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in space.prediction_of][:MOST]


def _board(
    space: Workspace, key: str, finding: Finding, names: Sequence[str], made: Made | None
) -> None:
    sent = board.Pictures()
    cards = [_card(space, finding, name, made, sent) for name in names]
    board.show(cards, sent, key=key, density="grid", style=drawn.style(), side=SIDE, on_open=_open)


def region(space: Workspace, finding: Finding, name: str) -> Region | None:
    """``(rows, cols)``, the patches of an image that a finding speaks of; None where none are."""
    own = [e.region for e in finding.evidence if name in e.images and e.region is not None]
    found = finding.region if finding.region is not None else next(iter(own), None)
    if found is None or not found.any():
        return None
    # Images of other shapes have other patches.
    return found if found.shape == space.about(name).vit.layout.grid else None


def outlined_crop(space: Workspace, name: str, where: Region) -> Image.Image:
    """What the model saw of an image, enlarged, with the patches outlined."""
    crop = space.crop(name)
    return overlay(
        crop,
        where.astype(np.float32),
        Scale(0.0, 1.0, False, ""),
        keep=float(where.mean()),
        size=pictures.fit(crop.size, 2 * SIDE),
        covers=space.about(name).vit.layout.covers((crop.height, crop.width)),
        mode="outline",
    )


def _method(space: Workspace) -> str | None:
    """The map of a prediction that this model has; none of them is right for all."""
    known = ("relevance", "gradcam", "rollout", "raw")
    return next((one for one in known if space.vit.support.defines(METHODS[one].needs)), None)


def _maps(space: Workspace, names: Sequence[str], method: str) -> Made | None:
    """The maps of the predictions, made beside the page."""
    choice, vit = space.choice, space.vit
    wanted = [(space.by_name[name], _target(space, name, method)) for name in names]

    def work(progress: tasks.Progress) -> Made:
        heats, problem = {}, ""
        for done, (sample, target) in enumerate(wanted):
            progress(done, len(wanted))
            try:
                heats[sample.name] = results.heat(choice, vit, sample, method, target)
            except AttnlibError as error:
                problem = str(error)
        return Made(heats, problem)

    key = (choice, method, tuple((sample.name, sample.sha256, target) for sample, target in wanted))
    return tasks.run(
        "diagnosis maps",
        key,
        work,
        button="Maps",
        help="The maps of these images.",
        eager=True,
    )


def _target(space: Workspace, name: str, method: str) -> int | None:
    return space.prediction_of[name].predicted if METHODS[method].class_specific else None


def _words(space: Workspace, method: str | None, made: Made | None, outlined: bool) -> None:
    """What the pictures are."""
    above = "What the model saw" + (", the place outlined" if outlined else "")
    if method is None:
        st.caption(f"{above}. This model has no map of where a prediction comes from.")
        return
    of = "for the predicted class" if METHODS[method].class_specific else "the same for every class"
    st.caption(f"Above: {above[0].lower()}{above[1:]}. Below: {METHODS[method].title}, {of}.")
    if made is not None and made.heats:
        map_legend(drawn.style(), "the largest value in each map, which has a scale of its own")
    if made is not None and made.problem:
        st.caption(literal(made.problem))


def _card(
    space: Workspace, finding: Finding, name: str, made: Made | None, sent: board.Pictures
) -> Card:
    prediction: Prediction = space.prediction_of[name]
    crop, layout = space.crop(name), space.about(name).vit.layout
    covers = layout.covers((crop.height, crop.width))
    where = region(space, finding, name)
    _put(space, sent, name)
    base = name
    if where is not None:
        base = f"{name}\n{where.shape}"
        picture = outlined_crop(space, name, where)
        sent.put(base, crop, data_uri(png_bytes(picture), "image/png"))
    figures = [Figure(base, "what the model saw", sync=name, grid=layout.grid, covers=covers)]
    heat = None if made is None else made.heats.get(name)
    if heat is not None:
        figures.append(Figure(name, METHODS[heat.method].title, heat, heat.scale(), sync=name))
    return Card(
        name,
        figures,
        word=verdict.word(space, prediction),
        outcome=prediction.outcome,
        said=verdict.said(space, prediction),
        confidence=verdict.confidence(space, prediction),
        tags=verdict.tags(space.remark(name)),
    )


def _put(space: Workspace, sent: board.Pictures, name: str) -> None:
    crop = space.crop(name)
    uri = results.numbers(
        space.choice,
        space.by_name[name],
        ("picture", 2 * SIDE),
        lambda: board.encoded(crop, 2 * SIDE),
    )
    sent.put(name, crop, uri)


def _open(name: str) -> None:
    opened.open_image(name)
    st.session_state[_GO] = True
