"""The map of images: the embeddings of the set as dots, of which a lasso filters the gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from attnlib.audit import projection
from attnlib.audit.projection import METHODS, Method, Projection
from attnlib.dashboard.mistakes import coloured, thumbnails
from attnlib.dashboard.parts import address, controls, views
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.scatter import Colouring, Dots, scatter, sheet
from attnlib.dashboard.state import tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import lassoed, projected
from attnlib.dashboard.triage.projected import PER_SHEET, Cloud

KEY, SHEETS = "embedding_map", "embedding_sheets"
KINDS = {"right": "right", "wrong": "wrong", "unlabelled": "no label"}
_ACROSS = round(PER_SHEET**0.5)
_MOVED = "embedding_moved"


def selected(space: Workspace) -> frozenset[str] | None:
    """Names of the images inside the lasso; None where there is none, or none to follow."""
    return lassoed.judged(space)[0]


def problem(space: Workspace) -> str:
    """Why a lasso that there is is not followed, in a sentence; "" where it is."""
    return lassoed.judged(space)[1]


@address.fragment
def show(space: Workspace) -> None:
    """The map with its controls. A fragment: what is pointed at reruns nothing else."""
    if st.session_state.pop(_MOVED, False):
        # The gallery and the opened image lie outside.
        st.rerun()
    views.guarded(_show)(space)


def _show(space: Workspace) -> None:
    names, ended = projected.shown(space), projected.finished(space)
    if not names:
        st.info("No image is inspected." if ended else "The map begins with the first images.")
        return
    method, column, title = _choices(space)
    cloud = _cloud(space, names, method)
    if cloud is None:
        return
    inside, why = lassoed.judged(space)
    if why:
        st.info(literal(why))
    colouring = coloured.colouring(space, cloud.names, column, title)
    _draw(space, cloud, method, column, colouring, inside)
    _words(space, cloud, method, ended)


def _choices(space: Workspace) -> tuple[Method, str, str]:
    """The projection, and the column to colour by with its title."""
    options = coloured.options(space)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method: Method = controls.segments(
            "embedding_projection",
            "Arranged by",
            list(METHODS),
            title=lambda key: METHODS[key],
            help=(
                "PCA keeps distances as well as two directions can, at once. t-SNE and UMAP keep "
                "neighbours together and take a while; distances between groups mean nothing there."
            ),
        )
        column = controls.choice(
            "embedding_colour",
            "Coloured by",
            list(options),
            title=lambda key: options.get(key, key),
            width=230,
            help="A class or an outcome, a tag that was given, or a number of each image.",
        )
    return method, column, options[column]


def _cloud(space: Workspace, names: list[str], method: Method) -> Cloud | None:
    """The points, computed beside the page where that takes long."""
    if method == "pca":
        return projected.cloud(space, method)
    title = METHODS[method]
    if missing := projection.missing(method):
        st.info(missing)
        return None
    if not projected.finished(space):
        st.info(
            f"{title} can be computed as soon as all images are inspected. PCA grows with them."
        )
        return None
    made = tasks.run(
        projected.TASK,
        (method, projected.key(space, names)),
        _work(space, names, method),
        button=f"Compute {title}",
        help="About a minute for 10,000 images, beside the page; it counts no steps on the way.",
        shared=True,
    )
    return None if made is None else Cloud.of(names, made)


def _work(
    space: Workspace, names: list[str], method: Method
) -> Callable[[tasks.Progress], Projection]:
    compute = projected.compute(space, names, method)
    return lambda progress: compute()


@dataclass(frozen=True)
class _Acts:
    """What the visitor does on the map, before the page runs."""

    space: Workspace
    cloud: Cloud
    method: Method

    def open(self, number: int) -> None:
        st.session_state["image"] = self.cloud.names[number]
        st.session_state[_MOVED] = True

    def lasso(self, line: NDArray[np.float64]) -> None:
        lassoed.draw(self.cloud, self.method, line)
        st.session_state[_MOVED] = True

    def sheet(self, number: int) -> None:
        st.session_state[SHEETS + "_wanted"] = number


def _draw(
    space: Workspace,
    cloud: Cloud,
    method: Method,
    column: str,
    colouring: Colouring,
    inside: frozenset[str] | None,
) -> None:
    of = space.prediction_of
    line, acts = lassoed.current(), _Acts(space, cloud, method)
    kinds = list(KINDS)
    dots = Dots(
        of=lassoed.check([*cloud.names, method, repr(space.choice)]),
        points=cloud.points,
        extent=cloud.extent,
        names=cloud.names,
        says=_says(space, cloud.names),
        colouring=colouring,
        shapes=np.array([kinds.index(of[n].outcome) for n in cloud.names], np.uint8),
        # Where colours say the outcome, their marks have its shapes.
        kinds=[] if column == "outcome" else list(KINDS.values()),
    )
    same = line is not None and line.method == method and inside is not None
    with st.container(gap=None):
        scatter(
            dots,
            key=KEY,
            alt=(
                f"Map of {len(dots.names)} images, near each other where the model finds them "
                "alike. Arrow keys go from image to image, Enter opens one, plus and minus zoom."
            ),
            on_open=acts.open,
            on_lasso=acts.lasso,
            on_sheet=acts.sheet,
            per_sheet=PER_SHEET,
            tile=thumbnails.TILE,
            chosen=None if inside is None else np.array([n in inside for n in cloud.names]),
            lasso=line.polygon if same and line is not None else None,
            lassoable=projected.finished(space),
            erasable=line is not None,
        )
        _sheet(space, dots)


def _says(space: Workspace, names: Sequence[str]) -> list[str]:
    """A line about each image: what it is, what is predicted, and how surely."""
    if not space.vit.outputs.classifies:
        return [""] * len(names)
    table = space.table.set_index("image").loc[list(names)]
    true, said = (coloured.shortened(table[side]) for side in ("true_class", "predicted_class"))
    known = true.where(table["outcome"].astype(object) != "unlabelled", "no label")
    return [
        f"{label or 'nothing'} → {name or 'nothing'}, {sure:.0%} sure"
        for label, name, sure in zip(known, said, table["confidence"], strict=True)
    ]


def _sheet(space: Workspace, dots: Dots) -> None:
    """The thumbnails that the browser asked for last."""
    number = st.session_state.get(SHEETS + "_wanted")
    names = dots.names[number * PER_SHEET :][:PER_SHEET] if number is not None else ()
    picture = thumbnails.drawn(space, names, _ACROSS) if names else None
    sheet(dots.of, number or 0, picture, key=SHEETS)


def _words(space: Workspace, cloud: Cloud, method: Method, ended: bool) -> None:
    """What the map shows, in words."""
    n, total = len(cloud.names), len(space.samples)
    count = f"{n:,} of {total:,} images so far. " if not ended else f"{n:,} images. "
    what = (
        "Each dot is an image, placed by the model's own description of it (its embedding): "
        "images that it finds alike are near each other. "
    )
    if cloud.shares is not None:
        first, second = cloud.shares
        how = (
            f"Left to right shows {first:.0%} and bottom to top {second:.0%} of how these "
            "descriptions vary (PCA); what lies apart here differs, what lies together may differ "
            "in a direction that is not shown."
        )
    else:
        how = (
            f"{METHODS[method]} keeps neighbours together; how far groups lie apart, and how large "
            "they are, means nothing."
        )
    hint = " Draw a line around images to see only these in the gallery." if ended else ""
    st.caption(literal(count + what + how) + hint)
