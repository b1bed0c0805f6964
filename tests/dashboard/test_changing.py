"""Erasing, keeping and pasting on the opened image, against the library, on a grid of 4 x 6."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st
import torch
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.mistakes import regions
from attnlib.dashboard.mistakes.regions import KEY as REGION
from attnlib.dashboard.mistakes.ways import CUT, KEEP, OTHER
from attnlib.diagnosis import knockout
from attnlib.diagnosis.smallest import smallest
from attnlib.methods import perturbation
from attnlib.pictures.sizes import enlarge
from tests.dashboard.driving import finish, text
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, as_read

GRID = (4, 6)
CHOSEN = (0, 1, 7, 14)


def opened(app: AppTest, library: Library, **state: object) -> AppTest:
    app.session_state["image"] = library.wrong[3]
    app.session_state["change_open"] = True
    app.session_state[REGION] = CHOSEN
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page("../../pages/prediction_debugging/page.py").run()
    return finish(app)


def chosen() -> NDArray[np.bool_]:
    region = np.zeros(GRID, dtype=bool)
    region.flat[list(CHOSEN)] = True
    return region


def said(library: Library, pixels: torch.Tensor) -> NDArray[np.float64]:
    """Probabilities ``(C,)`` by the module itself."""
    with torch.no_grad():
        return library.vit.module(pixels)[0].double().softmax(-1).numpy()


def given(library: Library, keep: bool, stand_in: str) -> torch.Tensor:
    """The model's input with the region replaced, patch by patch."""
    name = library.wrong[3]
    pixels = library.vit.pixels(library.images[name])
    if stand_in == "image":
        other = next(one for one in library.names if one != name)
        source = library.vit.pixels(library.images[other])
    else:
        source = perturbation.reference(pixels, stand_in)  # type: ignore[arg-type]
    height, width = (side // count for side, count in zip(pixels.shape[2:], GRID, strict=True))
    made = pixels.clone()
    for row, col in np.argwhere(chosen() != keep):
        place = (
            ...,
            slice(row * height, (row + 1) * height),
            slice(col * width, (col + 1) * width),
        )
        made[place] = source[place]
    return made


@pytest.mark.parametrize(
    ("what", "stand_in"), [(None, "blur"), (None, "image"), (KEEP, "mean"), (None, "zero")]
)
def test_the_predictions_and_the_picture_are_the_models(
    oblong: AppTest, library: Library, screen: Screen, what: str | None, stand_in: str
) -> None:
    more = {} if what is None else {"change_what": what}
    page = opened(oblong, library, change_with=stand_in, **more)
    keep = what == KEEP
    pixels = given(library, keep, stand_in)
    (table,) = (t.value for t in page.dataframe if "before" in t.value)
    before = said(library, library.vit.pixels(library.images[library.wrong[3]]))
    after = said(library, pixels)
    names = [name.removesuffix(" (true)") for name in table["class"]]
    order = [library.vit.class_names.index(name) for name in names]
    assert {int(i) for i in np.argsort(-after)[:4]} | {int(i) for i in np.argsort(-before)[:4]} <= {
        *order
    }
    np.testing.assert_allclose(table["before"], before[order], atol=1e-6)
    np.testing.assert_allclose(table["after"], after[order], atol=1e-6)
    verb = "It stays" if before.argmax() == after.argmax() else "It becomes"
    assert verb in text(page)
    drawn = dict(screen.pictures(page))["what the model got"]
    mean, std = (
        torch.tensor(getattr(library.vit.preparation, part)).reshape(-1, 1, 1)
        for part in ("mean", "std")
    )
    seen = ((pixels[0] * std + mean).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    expected = np.asarray(enlarge(Image.fromarray(seen), drawn.shape[1::-1]))
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    assert screen.cells(page)["change_cells"].said["selected"] == [
        list(map(int, cell)) for cell in np.argwhere(chosen())
    ]


@pytest.mark.parametrize("who", ["outside", "region", "other"])
def test_attention_is_cut_as_the_library_does(
    oblong: AppTest, library: Library, who: knockout.Who
) -> None:
    lookers = (3, 20)
    page = opened(
        oblong,
        library,
        change_what=CUT,
        change_who=who,
        change_first=2,
        change_last=2,
        change_lookers=lookers,
    )
    other = np.zeros(GRID, dtype=bool)
    other.flat[list(lookers)] = True
    pixels = library.vit.pixels(library.images[library.wrong[3]])
    found = knockout.knock_out(library.vit, pixels, chosen(), who, [1], other=other)
    assert np.abs(found.after - found.before).max() > 1e-4
    (table,) = (t.value for t in page.dataframe if "before" in t.value)
    order = [library.vit.class_names.index(n.removesuffix(" (true)")) for n in table["class"]]
    np.testing.assert_allclose(table["after"], found.after[order], atol=1e-6)
    np.testing.assert_allclose(table["before"], found.before[order], atol=1e-6)
    button = next(b for b in page.button if b.label.startswith("Compare with 40 random"))
    button.click().run()
    finish(page)
    turned = sum(
        knockout.knock_out(library.vit, pixels, region, who, [1], other=other).flips
        for region in regions.random_regions(GRID, len(CHOSEN), 40)
    )
    assert f"Of 40 random sets of 4 patches, treated alike, {turned} change" in text(page)


def test_those_chosen_become_those_that_do_not_look(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library, change_what=CUT, change_who="other")
    next(b for b in page.button if b.label.startswith("Those chosen now")).click().run()
    assert page.session_state[OTHER] == CHOSEN


def test_a_stroke_joins_and_a_stroke_over_what_is_chosen_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", state)
    regions.paint(chosen(), [(0, 1), (0, 2), (3, 5)])
    assert state[REGION] == (0, 1, 2, 7, 14, 23)
    regions.paint(chosen(), [(0, 0), (1, 1)])
    assert state[REGION] == (1, 14)


def test_random_patches_stand_beside_it(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library)
    button = next(b for b in page.button if b.label.startswith("Compare with 40 random"))
    button.click().run()
    finish(page)
    pixels = library.vit.pixels(library.images[library.wrong[3]])
    source = perturbation.reference(pixels, "blur")
    before = int(said(library, pixels).argmax())
    turned = 0
    for region in regions.random_regions(GRID, len(CHOSEN), 40):
        assert region.sum() == len(CHOSEN)
        made = perturbation.replace(pixels, source, torch.from_numpy(region[None]))
        turned += int(said(library, made).argmax()) != before
    assert f"Of 40 random sets of 4 patches, treated alike, {turned} change" in text(page)


def test_the_fewest_patches_are_the_librarys(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library)
    next(b for b in page.button if b.label.startswith("Find the fewest")).click().run()
    finish(page)
    name = library.wrong[3]
    pixels = library.vit.pixels(library.images[name])
    found = smallest(library.vit, pixels, target=library.true[name])
    assert found.sentence in as_read(text(page))
    if found.region is None:
        return
    next(b for b in page.button if b.label == "Show them").click().run()
    assert page.session_state[REGION] == tuple(np.flatnonzero(found.region))
    assert "it is repaired" in text(page)


def test_the_strongest_patches_of_the_map(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library)
    next(b for b in page.button if b.label.startswith("Top 2 of the map")).click().run()
    name = library.wrong[3]
    heat = library.vit.attribute(library.images[name], "relevance", library.predicted[name])
    strongest = sorted(int(place) for place in np.argsort(-heat.values.ravel())[:2])
    assert list(page.session_state[REGION]) == strongest


def test_equal_values_are_taken_in_their_order() -> None:
    values = np.array([[0.5, 1.0, 1.0], [1.0, 0.0, 0.2]])
    assert np.flatnonzero(regions.top(values, 2)).tolist() == [1, 2]


def test_clicks_take_a_patch_give_it_back_and_span_a_rectangle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", state)
    empty = np.zeros(GRID, dtype=bool)

    def now() -> NDArray[np.bool_]:
        region = empty.copy()
        region.flat[list(state[REGION])] = True  # type: ignore[call-overload]
        return region

    regions.pick(empty, False, (1, 2))
    assert state[REGION] == (8,)
    regions.pick(now(), False, (1, 2))
    assert state[REGION] == ()
    regions.pick(empty, True, (3, 4))
    assert state[REGION] == (22,)
    regions.pick(now(), True, (1, 2))
    rows, cols = np.nonzero(now())
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (1, 3, 2, 4)
    assert now().sum() == 9
    assert "change_corner" not in state


def test_a_link_holds_the_region(oblong: AppTest, library: Library) -> None:
    page = opened(oblong, library)
    assert page.query_params[REGION] in ("0-1.7.14", ["0-1.7.14"])
