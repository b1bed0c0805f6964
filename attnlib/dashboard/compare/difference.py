"""Where two maps differ: one minus the other, both in multiples of uniform."""

from __future__ import annotations

import numpy as np
import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.compare import drawing
from attnlib.dashboard.compare.drawing import Look, Map
from attnlib.dashboard.compare.settings import COMPARED
from attnlib.dashboard.parts import address, downloads
from attnlib.dashboard.parts.codecs import OneOf
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.state.workspace import Workspace
from attnlib.evaluation import agreement
from attnlib.methods import METHODS
from attnlib.pictures.colormaps import Scale

SIDE = 320
# What the lists show. The wish may be for a map that is not computed yet.
FIRST, SECOND = "compare_first", "compare_second"
WISH = "compare_pair"
PAIRS = OneOf([(a, b) for a in COMPARED for b in COMPARED], code="-".join)
DEFAULT = ("rollout", "flow")
LABEL = "difference in × uniform"


def choose(first: str, second: str) -> None:
    """Compare these two from now on; for callbacks, before the widgets are drawn."""
    st.session_state[WISH] = first, second


def settle(names: list[str]) -> None:
    """Two maps that there are: what is wished may not exist for this image or model, or not yet."""
    wish = address.value(WISH, DEFAULT, PAIRS, label="Difference of two maps")
    shown = [name if name in names else "" for name in wish]
    for place, key in enumerate((FIRST, SECOND)):
        free = [name for name in names if name != shown[1 - place]]
        shown[place] = shown[place] or free[0]
        if st.session_state.get(key) != shown[place]:
            st.session_state[key] = shown[place]


def _wish(key: str) -> None:
    first, second = st.session_state[WISH]
    chosen = st.session_state[key]
    choose(*((chosen, second) if key == FIRST else (first, chosen)))


def difference(
    space: Workspace, prediction: Prediction, shares: dict[str, Map], look: Look
) -> None:
    """Two choices, the signed picture, and three numbers beside it."""
    if len(shares) < 2:
        st.info("A difference needs two maps.")
        return
    names = list(shares)
    settle(names)
    crop = space.inspected(prediction.name).picture
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=SIDE, gap="small"):
            picture = st.container()
            legend = st.container()
        with st.container(width=400):
            first = _choice("First map", FIRST, names, "Red where it gives more.")
            second = _choice("Second map", SECOND, names, "Blue where it gives more.")
            change = shares[first] - shares[second]
            _numbers(shares[first], shares[second])
            stem = f"{stem_of(prediction.name)}-{first}-minus-{second}"
            rows, cols = change.shape
            scale = Scale.shared([change], signed=True, label=LABEL)
            with st.container(horizontal=True):
                downloads.matrix(
                    change,
                    [f"row {row}" for row in range(rows)],
                    [f"column {col}" for col in range(cols)],
                    stem,
                )
                downloads.picture(
                    lambda: look.draw(crop, change, scale, 896, space.vit.covers), stem
                )
        with picture:
            drawing.map_cells(
                look.draw(crop, change, scale, 2 * SIDE, space.vit.covers),
                change,
                (rows, cols),
                f"{METHODS[first].title} − {METHODS[second].title}",
                "compare_difference",
                SIDE,
                covers=space.vit.covers,
            )
        with legend:
            drawing.show_legend(
                scale,
                None,
                f"**{LABEL}** · red: {METHODS[first].short} gives more, "
                f"blue: {METHODS[second].short} gives more.",
                SIDE,
            )


def _choice(label: str, key: str, names: list[str], help: str) -> str:
    chosen = st.selectbox(
        label,
        names,
        format_func=lambda name: METHODS[name].title,
        key=key,
        on_change=_wish,
        args=(key,),
        help=help,
    )
    return str(chosen)


def _numbers(first: Map, second: Map) -> None:
    pair = [first, second]
    rank = agreement.spearman(pair)[0, 1]
    top = agreement.overlap(pair)[0, 1]
    moved = np.abs(first - second).sum() / 2 / first.size
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "Spearman",
            "none" if np.isnan(rank) else f"{rank:.2f}",
            width="content",
            help="Rank correlation of the two maps over patches; none where one is constant.",
        )
        st.metric(
            "Top 10 % in common",
            f"{top:.0%}",
            width="content",
            help="Share of their strongest tenth of patches that both maps name.",
        )
        st.metric(
            "Moved",
            f"{moved:.0%}",
            width="content",
            help="Share of the total that lies on other patches in the second map.",
        )
