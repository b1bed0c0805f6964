"""On a telephone's screen nothing is out of sight, and what is compared stands side by side."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from docs.make_screens import CUT, IDLE, address
from tests.dashboard.browsing import in_a_browser
from tests.dashboard.scenes import IMAGE
from tests.dashboard.scenes import scene as named

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = in_a_browser


@pytest.fixture
def narrow(page):  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": 390, "height": 844})
    return page


@pytest.mark.parametrize("scene", ["opened, attention cut", "walk, words", "audits, Images"])
def test_nothing_is_cut_or_out_of_sight(server, narrow, scene: str) -> None:  # type: ignore[no-untyped-def]
    narrow.goto(f"{server}/{address(*named(scene))}")
    narrow.wait_for_function(IDLE, timeout=180_000, polling=200)
    found = narrow.evaluate(CUT)
    # A line of typed text may be longer than its field.
    assert not found, found


def test_maps_stand_two_in_a_row(server, narrow) -> None:  # type: ignore[no-untyped-def]
    asked = urlencode({"image": IMAGE, "attention_view": "One head"})
    narrow.goto(f"{server}/cls-attention?{asked}")
    narrow.wait_for_function(IDLE, timeout=180_000, polling=200)
    boxes = [
        one.bounding_box()
        for one in narrow.locator(".st-key-beside-one canvas, .st-key-beside-one img").all()
    ]
    assert len(boxes) == 4
    for left, right in (boxes[:2], boxes[2:]):
        assert abs(left["y"] - right["y"]) < 2
        assert right["x"] >= left["x"] + left["width"]
        assert right["x"] + right["width"] <= 390
        assert left["width"] > 150
