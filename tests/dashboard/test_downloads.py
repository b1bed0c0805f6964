"""“Every picture and every chart can be downloaded with its numbers”: asked of every view."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.driving import PAGES, finish
from tests.dashboard.library import Library
from tests.dashboard.screen import Screen, pixels, table

VIEWS = [
    ("prediction_debugging", "", ""),
    *(
        ("cls_attention", "attention_view", view)
        for view in (
            "One head",
            "Heads of a layer",
            "All layers × heads",
            "Through the layers",
            "Token × token",
            "Compare",
        )
    ),
    *(
        ("head_similarity", "heads_section", view)
        for view in ("Effect on the prediction", "Direct effect", "Similarity", "Numbers and flags")
    ),
    *(
        ("rollout_vs_flow", "compare_part", view)
        for view in ("Maps", "Agreement", "Faithfulness", "Randomised weights")
    ),
    *(
        ("attention_walkthrough", "walk_part", view)
        for view in ("Step by step", "Temperature", "Head explorer", "Playground")
    ),
    *(
        ("complexity_calculator", "cost_part", view)
        for view in ("Cost", "Sweeps", "Alternatives", "Receptive field")
    ),
]
# Nothing is drawn there before a box is drawn, a button pressed, a model pinned or chosen; common
# problems are told in words and numbers, and workspaces in tables.
EMPTY = {
    "Localisation",
    "Measured",
    "Side by side",
    "Common problems",
    "Two models",
    "A training run",
    "All workspaces",
    "This one",
    "Log and use",
}


def test_no_view_is_left_out() -> None:
    asked = {view for _, _, view in VIEWS if view}
    assert {name for _, parts in PAGES.values() for name in parts} - asked == EMPTY
    # What was found to be wrong is taken along in test_diagnosis_page.py; the demo has nothing.
    others = {"model_comparison", "workspaces", "diagnosis"}
    assert {folder for folder, _, _ in VIEWS} == set(PAGES) - others


@pytest.mark.parametrize(("folder", "key", "view"), VIEWS)
def test_what_is_shown_can_be_taken_along(
    oblong: AppTest, screen: Screen, library: Library, folder: str, key: str, view: str
) -> None:
    oblong.session_state["image"] = library.wrong[3]
    oblong.switch_page(f"../../pages/{folder}/page.py").run()
    if key:
        oblong.segmented_control(key=key).set_value(view).run()
    finish(oblong)
    charts = oblong.get("vega_lite_chart")
    maps = [k for k in screen.cells(oblong) if not k.endswith("_patch")]
    maps += [c for c, p in screen.pictures(oblong) if p.shape[0] > 20][1:]
    assert charts or maps, "nothing is shown"
    taken, pictures = [], 0
    for data in screen.files_behind_buttons(oblong):
        if data.startswith(b"\x89PNG"):
            assert pixels(data).std() > 0, "an empty picture"
            pictures += 1
        elif not data.startswith(b"<!"):
            taken += [cell for row in table(data) for cell in row.values()]
    assert pictures or not maps, maps
    numbers = np.array(sorted(float(cell) for cell in taken if is_number(cell)))
    assert len(numbers)
    for chart in charts:
        drawn = [v for v in measured(chart) if np.abs(numbers - v).min() > 1e-4 * abs(v) + 1e-9]
        assert not drawn, f"drawn, but in no file: {drawn[:5]}"


def is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def measured(chart: Any) -> list[float]:
    """The fractional numbers of a chart's largest layer; whole ones are places and counts."""
    layers = json.loads(chart.proto.spec)["layer"]
    rows = max((layer["data"]["values"] for layer in layers), key=len)
    values = [v for row in rows for v in row.values() if isinstance(v, float)]
    return [v for v in values if np.isfinite(v) and v != round(v)]
