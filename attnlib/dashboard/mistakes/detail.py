"""One image opened large: every method, class, layer and head, on one scale with the true class."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from attnlib.audit import Prediction
from attnlib.capture.record import Record
from attnlib.dashboard.mistakes import (
    by_layer,
    changing,
    code,
    explain,
    filling,
    outliers,
    stability,
)
from attnlib.dashboard.mistakes import case as cases
from attnlib.dashboard.mistakes.case import Wanted
from attnlib.dashboard.parts import address, board, charts, chosen, copy, downloads, drawn
from attnlib.dashboard.parts.board import Card, Pair
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import Style, draw, encoded, scale_of
from attnlib.dashboard.parts.style import legend_bar
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import bases, order, verdict
from attnlib.errors import AttnlibError
from attnlib.methods import Heat, Method
from attnlib.pictures.colormaps import Scale

LARGE, SMALL, SIDE = 430, 132, 896  # pixels: of a map, of a reference, of what is sent
# Rounding in float32 stays far below this; half precision does not.
SELF_CHECK = 1e-3


@address.fragment
def show(space: Workspace, name: str) -> None:
    """The opened image. A fragment: changing how it is drawn reruns nothing else."""
    prediction = space.prediction_of.get(name)
    if prediction is None:
        chosen.missing(space, name)
        return
    found = space.inspected(name)
    method, target, options, kind = explain.choose(space, prediction)
    style = drawn.style()
    wanted = _wanted(prediction, method, target, options)
    try:
        heats = _heats(space, prediction, wanted)
    except AttnlibError as error:
        st.warning(literal(str(error)), title=f"{method.title} is not available")
        return
    if not heats:
        _meanwhile(space, prediction, method, style)
        _waiting(space, prediction, wanted, _missing(space, prediction, wanted))
        return
    scale = scale_of(heats, kind)
    panels = _panels(space, prediction, method, heats, scale)
    missing = _board(space, prediction, panels, style)
    legend_bar(
        scale,
        f"{method.description} {method.caution} *{method.source}*",
        style=style,
    )
    outliers.show(space, prediction, heats[0])
    _take_away(space, name, heats, scale, style)
    changing.show(space, prediction, heats[0])
    by_layer.show(space, prediction)
    stability.show(space, prediction)
    _facts(space, found.record)
    if missing:
        _waiting(space, prediction, wanted, missing)
    else:
        _ahead(space, name)


def _wanted(
    prediction: Prediction, method: Method, target: int | None, options: dict[str, Any]
) -> list[Wanted]:
    """The map; of a wrong prediction and a class-specific method that of the true class too."""
    given = tuple(sorted(options.items()))
    found = [Wanted(prediction.name, method.name, target, given)]
    pair = prediction.wrong and prediction.label not in (None, prediction.predicted)
    if pair and method.class_specific and not method.signed and "against" not in options:
        found.append(Wanted(prediction.name, method.name, prediction.label, given))
    return found


def _heats(space: Workspace, prediction: Prediction, wanted: list[Wanted]) -> list[Heat]:
    """The maps, made beside the page; none while one of them is missing.

    Raises:
        AttnlibError: one of them is not defined.
    """
    fill = filling.current(space)
    maps = fill.maps(space)
    missing = [one for one in wanted if maps(one) is None]
    case = cases.build(space, prediction, maps)
    # Also where nothing is missing: what was asked for before is not looked at any longer.
    fill.ask(space, [*missing, *case.waits], now=True)
    found = [maps(one) for one in wanted]
    return [heat for heat in found if heat is not None] if None not in found else []


def _meanwhile(space: Workspace, prediction: Prediction, method: Method, style: Style) -> None:
    """What the inspection left behind, while a map is being made."""
    _board(space, prediction, cases.stand_in(space, prediction.name), style)
    st.caption(f"{method.title} is being made. {method.description} *{method.source}*")


def _panels(
    space: Workspace, prediction: Prediction, method: Method, heats: list[Heat], scale: Scale
) -> list[cases.Panel]:
    """Each map on the one scale."""
    panels = []
    for heat, role in zip(heats, ("", " (true), same scale"), strict=False):
        target = "" if heat.target is None else f" for “{space.class_name(heat.target)}”"
        caption = f"{method.title if not role else ''}{target}{role}".strip()
        panels.append(cases.Panel(caption, prediction.name, heat, scale))
    return panels


def _board(
    space: Workspace, prediction: Prediction, panels: list[cases.Panel], style: Style
) -> int:
    """The crop, the panels, the contrast and the references; how many of these are missing."""
    name = prediction.name
    case = cases.build(space, prediction, filling.current(space).maps(space))
    # Of the case's own panels the contrast alone is not above.
    contrast = [Pair([panel.figure(space)], panel.caption) for panel in case.panels[3:]]
    card = Card(
        name,
        [panel.figure(space) for panel in [case.panels[0], *panels]],
        [*contrast, *(one.pair(space) for one in case.references)],
        bars=verdict.bars(space, prediction),
        problem=case.problem,
    )
    board.show(
        [card],
        bases.of(space, [card], SIDE),
        key="opened",
        density="case",
        style=style,
        side=LARGE,
        small=SMALL,
    )
    return len(case.waits)


@st.fragment(run_every=0.6)
def _waiting(space: Workspace, prediction: Prediction, wanted: list[Wanted], missing: int) -> None:
    """The page again, once fewer maps are missing than when it was drawn."""
    done, total = filling.current(space).step
    st.caption(f"More maps follow{f': step {done} of {total}' if total > 1 else ''}.")
    if _missing(space, prediction, wanted) < missing:
        st.rerun()


def _missing(space: Workspace, prediction: Prediction, wanted: list[Wanted]) -> int:
    """How many maps are not there yet; what cannot be made is not waited for."""
    maps = filling.current(space).maps(space)
    try:
        found = sum(maps(one) is None for one in wanted)
    except AttnlibError:
        found = 0
    return found + len(cases.build(space, prediction, maps).waits)


def _ahead(space: Workspace, name: str) -> None:
    """Have the maps of the next image made before somebody asks for them."""
    names = order.current(space).names
    place = names.index(name) if name in names else -1
    for after in names[place + 1 : place + 2]:
        fill = filling.current(space)
        if not fill.busy:
            maps = fill.maps(space)
            fill.ask(space, cases.build(space, space.prediction_of[after], maps).waits, wait=0.0)


def _facts(space: Workspace, record: Record) -> None:
    """How far the capture can be trusted, and how concentrated attention is in each layer."""
    if np.isfinite(record.self_check):
        st.badge(
            f"capture checked: |A·V − output| ≤ {record.self_check:.1e}",
            icon=":material/verified:",
            color="green" if record.self_check < SELF_CHECK else "orange",
            help=(
                "The attention shown, multiplied out, against what the model really computed: "
                "the largest difference in any layer."
            ),
        )
    if record.entropy.size:
        st.caption(
            f"How evenly the {record.query}, which the prediction is read from, looks in each "
            "layer (a dot for each head): 1 is everywhere alike, 0 one patch alone."
        )
        charts.layers(record.entropy, "entropy ÷ log N", (0.0, 1.0))
        downloads.layers(record.entropy, "entropy-by-layer")


def _take_away(
    space: Workspace,
    name: str,
    heats: list[Heat],
    scale: Scale,
    style: Style,
) -> None:
    """The link, the code, the picture and the numbers of the first map."""
    made = heats[0]
    crop: Image.Image = space.inspected(name).picture
    stem = stem_of(name)
    with st.container(horizontal=True, gap="small"):
        copy.address("Copy link to this case", key="copy_link", help="This page's address.")
        with st.popover("Copy as code", icon=":material/code:", help="The lines that make it."):
            st.code(code.lines(space, name, heats, scale, style), language="python")
        st.download_button(
            "Picture (PNG)",
            lambda: encoded(draw(crop, made, scale, style, 896)),
            f"{stem}-{made.method}.png",
            "image/png",
            icon=":material/image:",
            on_click="ignore",
            help="The map over the crop, 896 pixels wide.",
        )
        st.download_button(
            "Numbers (CSV)",
            lambda: heat_csv(made),
            f"{stem}-{made.method}.csv",
            "text/csv",
            icon=":material/table:",
            on_click="ignore",
            help="One row for each patch: row, column, value.",
        )


def heat_csv(heat: Heat) -> str:
    """The map as CSV, one line per patch, with its unit in the header."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["row", "col", heat.unit])
    for (row, col), value in np.ndenumerate(heat.values):
        writer.writerow([row, col, repr(float(value))])
    return out.getvalue()
