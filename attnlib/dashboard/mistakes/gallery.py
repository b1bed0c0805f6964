"""The gallery: what passes the filters, wrong predictions first, at one of three densities."""

from __future__ import annotations

import streamlit as st

from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import cards, case, filling, listing, panels, standard
from attnlib.dashboard.parts import address, board, controls, drawn
from attnlib.dashboard.parts.codecs import LARGEST, Number
from attnlib.dashboard.parts.style import map_legend
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import bases, chips, filters, opened, order
from attnlib.dashboard.triage.filters import judged
from attnlib.dashboard.triage.order import Shown
from attnlib.methods import METHODS

DENSITIES = {"Cards": 6, "Grid": 24, "Table": 0}
CARD, SMALL, TILE = 120, 72, 148


def show(space: Workspace) -> None:
    """The controls, then one page of what passes the filters."""
    above, below = st.container(), st.container()
    # First the panel: a click in it changes what the controls above it hold.
    with below:
        panel = panels.current(space)
        if panel is not None:
            panel.show(space)
    with above:
        density = _toolbar(space)
    # What other images or another model waited for is not made any longer.
    filling.current(space)
    shown = order.current(space)
    chips.show(space, shown)
    size = DENSITIES[density]
    page = _page(space, shown, size)
    if not shown.predictions:
        st.info("No image fits these filters." if space.predictions else _nothing(space))
        return
    if density == "Table":
        listing.show(space, shown)
        return
    if any(p.name in space.outcomes for p in shown.predictions):
        signed = standard.method(space.vit.support).signed
        map_legend(drawn.style(), cards.maps_count(space), signed)
    _board(space, shown, density, page)
    pages = -(-len(shown.predictions) // size)
    if pages > 1 and st.session_state["gallery_page"] <= pages:
        controls.page("gallery_page", pages, of=(shown.asked, size))


def _toolbar(space: Workspace) -> str:
    """Outcome, density, order, the other filters and what else can be looked at, in one line."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="toolbar"):
        filters.OUTCOME.draw(space)
        density = controls.segments(
            "gallery_density",
            "Density",
            list(DENSITIES),
            label_visibility="collapsed",
            help="Large cards with comparisons, many small pictures, or a table of numbers.",
        )
        with controls.drawer(
            "filter_open",
            "Filter",
            icon=":material/filter_list:",
            help="Which images are shown.",
        ) as place:
            if place.open:
                for one in filters.MORE:
                    one.draw(space)
        with controls.drawer(
            "sort_open", "Sort", icon=":material/sort:", help="In which order they are shown."
        ) as place:
            if place.open:
                order.sort()
        _queue(space)
        panels.choose(space)
    return density


def _queue(space: Workspace) -> None:
    """One click to what is to be judged next."""
    left = sum(p.wrong and not judged.judged(space, p.name) for p in space.predictions)
    if left and space.session.stored.cases:
        st.button(
            f"Queue: {left}",
            icon=":material/inbox:",
            on_click=judged.queue,
            help="Mistakes that nobody has judged, the most confident first.",
        )


def _page(space: Workspace, shown: Shown, size: int) -> int:
    """The page that is shown, before its control is drawn below the cards."""
    if not space.predictions:
        # Nothing is asked of images that are not there yet, whatever the link says of them.
        return 1
    job = space.session.job
    pages = max(1, -(-len(shown.predictions) // size)) if size else 1
    # While images come, a link may ask for a page that is still to be filled.
    known = Number(1, pages if job is not None and job.finished else LARGEST)
    of = (shown.asked, size)
    found: int = address.value("gallery_page", 1, known, label="Page", of=of)
    return min(found, pages)


def _board(space: Workspace, shown: Shown, density: str, page: int) -> None:
    """The cards; while maps are missing, the page is drawn again by itself as they come."""
    size = DENSITIES[density]
    visible = shown.predictions[(page - 1) * size : page * size]
    fill = filling.current(space)
    now = _waits(space, visible, fill)
    then = _waits(space, shown.predictions[page * size : (page + 1) * size], fill)
    fill.ask(space, [*now, *then], wait=filling.PATIENCE_S if now else 0.0)
    if missing := _draw(space, visible, density):
        _waiting(space, visible, missing)


def _waits(
    space: Workspace, predictions: list[Prediction], fill: filling.Filling
) -> list[case.Wanted]:
    """The maps of some cards that are not there yet, the quick ones of all cards first."""
    maps = fill.maps(space)
    waits = [w for p in predictions for w in case.build(space, p, maps).waits]
    return sorted(waits, key=lambda wanted: METHODS[wanted.method].slow)


# The cards are not part of this: a click in a part of a page that runs alone is lost where the
# whole page has just been drawn without it.
@st.fragment(run_every=0.6)
def _waiting(space: Workspace, visible: list[Prediction], missing: int) -> None:
    """The page again, once fewer maps are missing than when it was drawn."""
    if len(_waits(space, visible, filling.current(space))) < missing:
        st.rerun()


def _draw(space: Workspace, visible: list[Prediction], density: str) -> int:
    """Draw one page of cards; how many maps are still missing."""
    maps = filling.current(space).maps(space)
    found = [case.build(space, prediction, maps) for prediction in visible]
    grid = density == "Grid"
    made = [(cards.small if grid else cards.full)(space, one) for one in found]
    side = TILE if grid else CARD
    board.show(
        made,
        bases.of(space, made, 2 * side),
        key=f"gallery_{density}",
        density="grid" if grid else "cards",
        style=drawn.style(),
        side=side,
        small=SMALL,
        on_open=opened.open_image,
        focus=opened.last(),
    )
    return sum(len(one.waits) for one in found)


def _nothing(space: Workspace) -> str:
    job = space.session.job
    if job is not None and job.finished and job.refusals:
        return "No image could be inspected; the reasons stand above."
    return "No results yet."
