"""The images of one category, each with the maps of both models side by side on one scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from attnlib import audit
from attnlib.dashboard.parts import controls, drawn, pictures
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import draw, plain, scale_of
from attnlib.dashboard.parts.style import map_legend
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import opened
from attnlib.errors import AttnlibError
from attnlib.methods import METHODS, Heat
from attnlib.pictures.colormaps import Scale

PER_PAGE = 4
SIDE = 144  # pixels on screen; pictures have twice as many
EXPLAINED = {"predicted": "what each predicted", "true": "the true class"}
# A class that decides is what one wants to see; the others are the same for all classes.
PREFERRED = ("relevance", "rollout", "raw")


@dataclass(frozen=True)
class Both:
    """The maps of one image, or why there are none."""

    heats: tuple[Heat, Heat] | None
    problem: str = ""


def show(space: Workspace, there: Workspace, found: audit.Versus) -> None:
    """The choice of a category and of a map, then a page of images."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        category = controls.segments(
            "versus_category",
            "Show",
            audit.CATEGORIES,
            title=str.capitalize,
            label_visibility="collapsed",
            help="Which images are shown, by what became of them.",
        )
        method, target = _wanted(space, there)
    names = [name for name, one in found.categories.items() if one == category]
    names.sort(key=lambda name: -_surest(space, there, name))
    if not names:
        st.info(f"No image is {category}.")
        return
    pages = -(-len(names) // PER_PAGE)
    page = controls.page("versus_page", pages, of=(category, pages))
    visible = names[(page - 1) * PER_PAGE : page * PER_PAGE]
    made = _maps(space, there, visible, method, target)
    if made and method is not None:
        map_legend(drawn.style(), f"the largest value of the two maps of an image. {_unit(method)}")
    with st.container(horizontal=True, gap="small"):
        for name in visible:
            _card(space, there, name, made.get(name) if made else None)


def _unit(method: str) -> str:
    """What the map says, and that two of them can be compared."""
    said = METHODS[method]
    return f"{said.title}: {said.description} {said.caution} Both maps of an image share one scale."


def _wanted(space: Workspace, there: Workspace) -> tuple[str | None, str]:
    """Which map, of those that both models have, and of which class."""
    possible = [
        name
        for name, method in METHODS.items()
        if method.compared
        and not method.slow
        and method.needs != "nothing"
        and all(one.vit.support.defines(method.needs) for one in (space, there))
    ]
    if not possible:
        st.caption("There is no kind of map that both models have.")
        return None, "predicted"
    method = controls.choice(
        "versus_method",
        "Map",
        possible,
        default=next((name for name in PREFERRED if name in possible), possible[0]),
        title=lambda name: METHODS[name].title,
        of=tuple(possible),
        width=220,
        help="Of the methods that both models have; the slow ones stand on “Rollout vs flow”.",
    )
    if not METHODS[method].class_specific:
        return method, "predicted"
    target = controls.segments(
        "versus_target",
        "Explains",
        list(EXPLAINED),
        title=EXPLAINED.__getitem__,
        help="The class that each model predicted, or the true one in both.",
    )
    return method, target


def _surest(space: Workspace, there: Workspace, name: str) -> float:
    return max(one.prediction_of[name].confidence for one in (space, there))


def _maps(
    space: Workspace, there: Workspace, names: list[str], method: str | None, target: str
) -> dict[str, Both] | None:
    """The maps of some images, computed beside the page."""
    if method is None:
        return {}
    asked = [(name, tuple(_target(one, name, target) for one in (space, there))) for name in names]

    def work(progress: tasks.Progress) -> dict[str, Both]:
        found: dict[str, Both] = {}
        for done, (name, targets) in enumerate(asked):
            progress(done, len(asked))
            found[name] = _both(space, there, name, method, targets)
        return found

    key = (
        space.choice,
        there.choice,
        method,
        tuple((space.by_name[name].sha256, targets) for name, targets in asked),
        tuple(names),
    )
    return tasks.run(
        "versus_maps",
        key,
        work,
        button="Maps of both models",
        help="Compute the maps of the images that are shown.",
        eager=True,
    )


def _target(one: Workspace, name: str, target: str) -> int:
    prediction = one.prediction_of[name]
    if target == "true" and prediction.label is not None:
        return prediction.label
    return prediction.predicted


def _both(
    space: Workspace,
    there: Workspace,
    name: str,
    method: str,
    targets: tuple[int, ...],
) -> Both:
    heats = []
    for one, index in zip((space, there), targets, strict=True):
        try:
            view = one.about(name)
            explained = index if METHODS[method].class_specific else None
            heats.append(results.heat(view.choice, view.vit, view.by_name[name], method, explained))
        except AttnlibError as error:
            return Both(None, str(error))
    return Both((heats[0], heats[1]))


def scales(heats: tuple[Heat, Heat]) -> tuple[Scale, Scale]:
    """One scale for both maps: of shares, multiples of what each model's patches get if all
    get the same, since two models may have other numbers of patches."""
    first = heats[0]
    if not first.share or first.signed:
        scale = scale_of(heats, "shared")
        return scale, scale
    multiples = np.concatenate([heat.values.ravel() * heat.values.size for heat in heats])
    high = Scale.times_uniform(multiples, 1).high
    one, two = (Scale.times_uniform(h.values, h.values.size, high=high) for h in heats)
    return one, two


def _card(space: Workspace, there: Workspace, name: str, made: Both | None) -> None:
    """The picture, and what either model said, over its map."""
    style = drawn.style()
    true = space.true(space.prediction_of[name])
    with st.container(border=True, width=3 * SIDE + 66, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"{name} · true: {', '.join(true or []) or 'none'}", width="stretch")
            st.button(
                "Choose",
                key=f"versus_open_{name}",
                on_click=opened.open_image,
                args=(name,),
                help="Make this the image that the other pages look at.",
                type="tertiary",
            )
        with st.container(horizontal=True, gap="small"):
            crop = space.inspected(name).picture
            pictures.show(plain(crop, 2 * SIDE), SIDE, caption="the picture", alt=name)
            # However narrow the screen is, the two maps stay together.
            with st.container(horizontal=True, gap="small", width=2 * SIDE + 16):
                for place, one in enumerate((space, there)):
                    said = _said(one, name, ("first", "second")[place])
                    if made is None or made.heats is None:
                        st.caption(literal(said), width=SIDE)
                        continue
                    heat, scale = made.heats[place], scales(made.heats)[place]
                    picture = draw(one.inspected(name).picture, heat, scale, style, 2 * SIDE)
                    pictures.show(picture, SIDE, caption=said, alt=f"{said}: {name}")
        if made is not None and made.problem:
            st.text(made.problem)


def _said(one: Workspace, name: str, which: str) -> str:
    prediction = one.prediction_of[name]
    said = ", ".join(one.said(prediction)) or "nothing"
    return f"{which}: {said} {prediction.confidence:.0%}, {prediction.outcome}"
