"""What a click on a picture or a chart asks for, on a grid that is not square."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.mistakes import confusion
from attnlib.dashboard.parts import cells
from attnlib.model import demo
from tests.dashboard.driving import finish
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen

COLS = 6
Click = Callable[..., dict[str, Any]]


@pytest.fixture
def click(monkeypatch: pytest.MonkeyPatch) -> Click:
    """Sends a cell as the browser does, to the picture of a key; what it leaves in the session."""
    told: dict[str, Callable[[], None]] = {}
    component = cells._COMPONENT

    def kept(*, key: str, on_cell_change: Callable[[], None], **rest: Any) -> Any:
        told[key] = on_cell_change
        return component(key=key, on_cell_change=on_cell_change, **rest)

    monkeypatch.setattr(cells, "_COMPONENT", kept)

    def send(key: str, row: Any, col: Any, **before: Any) -> dict[str, Any]:
        state = {**before, key: SimpleNamespace(cell={"row": row, "col": col})}
        with monkeypatch.context() as only:
            only.setattr(st, "session_state", state)
            told[key]()
        return {name: value for name, value in state.items() if name != key}

    return send


def opened(app: AppTest, library: Library, folder: str, **state: Any) -> AppTest:
    app.session_state["image"] = library.wrong[3]
    for key, value in state.items():
        app.session_state[key] = value
    app.switch_page(f"../../pages/{folder}/page.py").run()
    return finish(app)


def test_a_patch_asks_and_the_same_patch_gives_back(
    oblong: AppTest, click: Click, screen: Screen, library: Library
) -> None:
    page = opened(oblong, library, "cls_attention")
    token = 1 + COLS * 1 + 4
    assert click("attention_patch", 1, 4) == {"attention_query": token}
    assert click("attention_patch", 1, 4, attention_query=token) == {"attention_query": None}
    assert click("attention_patch", 3, 2) == {"attention_query": 1 + COLS * 3 + 2}
    for row, col in ((4, 0), (0, 6), (7, 1), (1, 7), (-1, 0), (0, -1), ("1", 1), (None, None)):
        assert click("attention_patch", row, col) == {}, "no such patch"
    page.session_state["attention_query"] = token
    page.run()
    assert screen.cells(page)["attention_patch"].said["selected"] == [[1, 4]]


def test_a_small_map_opens_large(oblong: AppTest, click: Click, library: Library) -> None:
    page = opened(oblong, library, "cls_attention", attention_view="All layers × heads")
    one = {"attention_view": "One head"}
    expected = {"attention_layer": "5", "attention_head": "1", **one}
    assert click("attention_all_heads", 5, 1) == expected
    page.segmented_control(key="attention_view").set_value("Heads of a layer").run()
    page.selectbox(key="attention_layer").set_value("3").run()
    expected = {"attention_layer": "3", "attention_head": "2", **one}
    assert click("attention_heads", 0, 2) == expected
    page.segmented_control(key="attention_view").set_value("Token × token").run()
    assert click("attention_matrix", 9, 3) == {"attention_query": 9}, "rows are queries"


def test_the_walk_follows_a_patch_a_head_or_a_layer(
    oblong: AppTest, click: Click, library: Library
) -> None:
    opened(oblong, library, "attention_walkthrough", walk_part="Head explorer")
    assert click("walk_patch", 2, 5) == {"walk_query": 1 + COLS * 2 + 5}
    assert click("walk_all_heads", 0, 2) == {"walk_head": "2"}
    assert click("walk_all_layers", 0, 4) == {"walk_layer": "4"}


def test_a_head_is_removed(oblong: AppTest, click: Click, library: Library) -> None:
    opened(oblong, library, "head_similarity")
    assert click("head-effects", 5, 1) == {"heads_removed": ["L5·H1"]}


def test_a_cell_of_the_agreement_is_first_minus_second(
    oblong: AppTest, click: Click, library: Library
) -> None:
    opened(oblong, library, "rollout_vs_flow", compare_part="Agreement")
    assert click("compare_spearman", 0, 3) == {"compare_pair": ("raw", "flow")}


def test_two_patches_are_a_box(oblong: AppTest, click: Click, library: Library) -> None:
    page = opened(oblong, library, "rollout_vs_flow", compare_part="Localisation")
    corner = click("compare_box_cells", 2, 4)
    assert (2, 4) in corner.values()
    for key, value in corner.items():
        page.session_state[key] = value
    finish(page.run())
    found = click("compare_box_cells", 0, 1)
    # Patches of 4 × 4 pixels: columns 1 to 4, rows 0 to 2.
    box = {"left": 4, "top": 0, "right": 20, "bottom": 12}
    assert {side: found[f"compare_box_{side}"] for side in box} == box


def test_a_cell_of_the_confusion_matrix_filters_the_gallery(
    oblong: AppTest, screen: Screen, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    oblong.session_state["gallery_panel"] = "Confusion matrix"
    oblong.run()
    name = library.wrong[0]
    true, guess = library.true[name], library.predicted[name]
    cell = {"true": demo.CLASS_NAMES[true], "predicted": demo.CLASS_NAMES[guess]}
    draw = confusion.charts.draw

    def clicked(kind: Any, *rest: Any, **more: Any) -> Any:
        found = draw(kind, *rest, **more)
        return {"selection": {"cell": [cell]}} if kind is confusion._cells else found

    monkeypatch.setattr(confusion.charts, "draw", clicked)
    oblong.run()
    oblong.run()
    assert not oblong.exception
    (chip,) = (b for b in oblong.button if b.key == "chip_gallery_cell")
    assert chip.label == f"{demo.CLASS_NAMES[true]} taken for {demo.CLASS_NAMES[guess]}"
    shown = [card.name for card in screen.cards(oblong)]
    both = [n for n in library.names if (library.true[n], library.predicted[n]) == (true, guess)]
    assert len(shown) == min(6, len(both)) and set(shown) <= set(both)
    chip.click().run()
    assert len(screen.cards(oblong)) == 6
    assert not any(b.key == "chip_gallery_cell" for b in oblong.button)


def test_only_a_click_moves_the_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    filters = {"gallery_cell": "3-5", "gallery_only": "All"}

    def left(*calls: tuple[int | None, int | None, dict[str, bool]]) -> dict[str, Any]:
        state: dict[str, Any] = {}
        with monkeypatch.context() as only:
            only.setattr(st, "session_state", state)
            for true, predicted, began in calls:
                confusion._narrow(true, predicted, **{"began": False, **began})
                state.pop("confusion_cell")
        return state

    assert left((3, 5, {})) == left((3, 5, {"began": False})) == filters
    assert left((3, 5, {"began": True})) == {}, "nobody clicked in a chart that was just drawn"
    assert left((None, None, {})) == {}
