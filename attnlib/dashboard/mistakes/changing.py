"""Erase, keep and paste by hand: what the model says of the opened image without a part of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from torch import Tensor

from attnlib.audit import Prediction
from attnlib.dashboard.mistakes import regions, ways
from attnlib.dashboard.mistakes.regions import KEY, Region
from attnlib.dashboard.mistakes.ways import Way
from attnlib.dashboard.parts import address, controls, downloads, pictures
from attnlib.dashboard.parts.cells import cells
from attnlib.dashboard.parts.downloads import stem_of
from attnlib.dashboard.parts.markdown import literal
from attnlib.dashboard.parts.pictures import plain
from attnlib.dashboard.parts.places import Places
from attnlib.dashboard.state import results, tasks
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.text import counted
from attnlib.diagnosis.editing import Edit, StandIn
from attnlib.diagnosis.smallest import Smallest, smallest
from attnlib.errors import AttnlibError
from attnlib.methods import Heat
from attnlib.methods.base import Progress
from attnlib.model import crop

SIDE = 264  # pixels of a picture on screen
# The share of patches of a map that a button takes, and random sets of as many patches beside it.
TOP, RANDOM = 0.1, 40
SHOWN = 4  # classes


def show(space: Workspace, prediction: Prediction, heat: Heat) -> None:
    """Behind a switch, since it costs a pass."""
    if space.vit.outputs.kind != "classes":
        return
    if not controls.toggle(
        "change_open",
        "Change the image",
        help="Erase, keep or paste parts of it, or cut the attention to them, and see whether the "
        "prediction changes.",
    ):
        return
    space = space.about(prediction.name)
    name, grid = prediction.name, space.vit.layout.grid
    places = address.value(
        KEY, (), Places(space.vit.layout.patches), label="Patches", of=(name, grid)
    )
    region = np.zeros(grid, dtype=bool)
    region.flat[list(places)] = True
    try:
        way, pointer = ways.choose(space, name, region)
        edit = _edited(space, name, region, way)
    except AttnlibError as error:
        st.warning(literal(str(error)))
        return
    _draw(space, prediction, heat, region, edit, way, pointer)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _random(space, name, region, way)
        if way.erases is not None:
            _fewest(space, prediction, way, *way.erases)


def _edited(space: Workspace, name: str, region: Region, way: Way) -> Edit:
    key = ("edit", region.tobytes(), way.key)
    sample = space.by_name[name]
    return results.numbers(space.choice, sample, key, lambda: way.apply(region))


def _draw(
    space: Workspace,
    prediction: Prediction,
    heat: Heat,
    region: Region,
    edit: Edit,
    way: Way,
    pointer: str,
) -> None:
    """The image with its region, what the model got instead, and both predictions."""
    name, layout = prediction.name, space.vit.layout
    with st.container(horizontal=True, gap="medium"):
        with st.container(width=SIDE, gap=None):
            picture = space.crop(name)
            cells(
                plain(picture, 2 * SIDE),
                layout.grid,
                key="change_cells",
                alt="The image; click on patches to choose them",
                width=SIDE,
                selected=[(int(row), int(col)) for row, col in np.argwhere(region)],
                on_pick=partial(regions.pick, region, pointer == ways.RECTANGLE),
                on_paint=partial(regions.paint, region) if pointer == ways.PAINT else None,
                smooth=True,
                covers=layout.covers(edit.region.shape),
            )
            _buttons(heat, region)
        shown, _ = crop.picture(space.vit.preparation, edit.pixels[0])
        if way.edits:
            with st.container(width=SIDE, gap="small"):
                pictures.show(
                    plain(shown, 2 * SIDE),
                    SIDE,
                    alt="What the model got",
                    caption="what the model got",
                )
        with st.container(width=380, gap="small"):
            st.markdown(_sentence(space, prediction, region, edit))
            st.dataframe(
                _table(space, prediction, edit),
                hide_index=True,
                column_config={
                    column: st.column_config.NumberColumn(column, format="percent")
                    for column in ("before", "after")
                },
            )
            if way.edits:
                downloads.picture(lambda: plain(shown, 896), f"{stem_of(name)}-changed")


def _buttons(heat: Heat, region: Region) -> None:
    count = max(1, round(TOP * region.size))
    with st.container(horizontal=True, gap="small"):
        if heat.values.shape == region.shape:
            st.button(
                f"Top {count} of the map",
                on_click=regions.take,
                args=(regions.top(heat.values, count),),
                help=f"The {counted(count, 'patch', 'patches')} with the largest values above.",
            )
        st.button("None", on_click=regions.take, args=(np.zeros_like(region),), help="Begin anew.")


def _sentence(space: Workspace, prediction: Prediction, region: Region, edit: Edit) -> str:
    """What it is now, in words."""
    if not region.any():
        return "Choose patches: click on them, or take the strongest ones of the map."
    before, after = int(edit.before.argmax()), int(edit.after.argmax())
    if before == after:
        return (
            f"It stays **{literal(space.class_name(before))}**, with "
            f"{edit.after[after]:.1%} in place of {edit.before[before]:.1%}."
        )
    repaired = "the true class: it is repaired" if after == prediction.label else "another class"
    return (
        f"It becomes **{literal(space.class_name(after))}** ({edit.after[after]:.1%}), "
        f"{repaired}; it was {literal(space.class_name(before))} ({edit.before[before]:.1%})."
    )


def _table(space: Workspace, prediction: Prediction, edit: Edit) -> pd.DataFrame:
    """The largest probabilities before and after, and the true class."""
    label = [] if prediction.label is None else [prediction.label]
    ranked = [*np.argsort(-edit.before)[:SHOWN], *np.argsort(-edit.after)[:SHOWN], *label]
    classes = list(dict.fromkeys(map(int, ranked)))
    return pd.DataFrame(
        {
            "class": [
                space.class_name(index) + (" (true)" if index == prediction.label else "")
                for index in classes
            ],
            "before": edit.before[classes],
            "after": edit.after[classes],
        }
    )


def _random(space: Workspace, name: str, region: Region, way: Way) -> None:
    """The control: what as many patches at random do."""
    count = int(region.sum())
    if not 0 < count < region.size:
        return

    def work(progress: Progress) -> list[bool]:
        found = []
        for done, one in enumerate(regions.random_regions(region.shape, count, RANDOM)):
            progress(done, RANDOM)
            found.append(way.apply(one).flips)
        return found

    turned = tasks.run(
        "change_random",
        (space.choice, space.by_name[name].sha256, count, way.key),
        work,
        button=f"Compare with {RANDOM} random sets of {counted(count, 'patch', 'patches')}",
        help="Whether it matters which patches these are.",
    )
    if turned is not None:
        st.caption(
            f"Of {len(turned)} random sets of {counted(count, 'patch', 'patches')}, treated "
            f"alike, {sum(turned)} change the prediction."
        )


def _fewest(
    space: Workspace, prediction: Prediction, way: Way, stand_in: StandIn, paste: Tensor | None
) -> None:
    """The fewest patches whose erasing repairs a mistake, or turns what is right."""
    vit, label = space.vit, prediction.label
    pixels = ways.pixels(space, prediction.name)
    target = label if prediction.wrong and label is not None else None
    work: Callable[[Progress], Smallest] = lambda progress: smallest(  # noqa: E731
        vit, pixels, stand_in, target=target, other=paste, progress=progress
    )
    sample = space.by_name[prediction.name]
    found = tasks.run(
        "change_fewest",
        (space.choice, sample.sha256, way.key, target),
        work,
        button="Find the fewest patches that "
        + ("turn the prediction" if target is None else "repair it"),
        help="Single patches, then pairs, then step by step: some thousand passes at most.",
    )
    if found is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(literal(found.sentence))
        if found.region is not None:
            st.button(
                "Show them", on_click=regions.take, args=(found.region,), help="As the region."
            )
