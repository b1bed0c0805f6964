"""Dots in a browser: what is pointed at, opened, encircled, and reached by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.browsing import STREAMLIT, in_a_browser, serving

pytestmark = in_a_browser

# A cross of five dots, the last of them wrong, and one far away, so that the box is square.
PLACES = {
    "centre": (0.5, 0.5),
    "left": (0.3, 0.5),
    "right": (0.75, 0.5),
    "above": (0.5, 0.8),
    "below": (0.5, 0.3),
    "corner": (1.0, 1.0),
    "origin": (0.0, 0.0),
}
SCRIPT = f"""
import numpy as np
import streamlit as st
from PIL import Image
from attnlib.dashboard.parts.scatter import Colouring, Dots, Entry, scatter, sheet

places = {PLACES}
names = [*places, "<b>odd</b>"]
points = np.array([*places.values(), (1.0, 0.0)])
codes = np.array([0, 0, 0, 0, 1, 0, 0, 0], np.uint8)
state = st.session_state
palette = [Entry("right", 0), Entry("wrong", 4, 1)]
dots = Dots(
    "cross", points, (1.0, 1.0), names, [f"says {{n}}" for n in names],
    Colouring(codes, palette, "Outcome"), codes, [],
)

def keep(name):
    return lambda value: state.update({{name: value}})

st.write(f"opened {{state.get('opened')}}; sheet {{state.get('wanted')}}")
line = state.get("line")
st.write("line " + ("none" if line is None else " ".join(f"{{x:.2f}},{{y:.2f}}" for x, y in line)))
scatter(
    dots, key="dots", alt="A cross of dots", on_open=keep("opened"), on_lasso=keep("line"),
    on_sheet=keep("wanted"), per_sheet=4, tile=48, width=700,
    lasso=None if line is None or not len(line) else line,
    chosen=None if line is None or not len(line) else codes == 0,
    erasable=line is not None and len(line) > 0,
)
tiles = Image.new("RGB", (96, 96), (200, 30, 30))
sheet("cross", state.get("wanted", 0), tiles if "wanted" in state else None, key="tiles")
"""
MARGIN = 18  # pixels around the dots


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script: Path = tmp_path_factory.mktemp("scatter") / "script.py"
    script.write_text(SCRIPT)
    with serving([*STREAMLIT, str(script)]) as url:
        yield url


@pytest.fixture
def dots(small: str, page: Any) -> Any:
    page.goto(small)
    found = page.locator("canvas.hand")
    found.wait_for()
    page.wait_for_timeout(800)
    return found


def at(dots: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the box lies on the screen: as large as fits, in the middle, y upwards."""
    box = dots.bounding_box()
    size = min(box["width"], box["height"]) - 2 * MARGIN
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return middle[0] + (x - 0.5) * size, middle[1] - (y - 0.5) * size


def expect(page: Any) -> Any:
    playwright = pytest.importorskip("playwright.sync_api")
    return playwright.expect(page.locator("[data-testid=stMain]"))


def test_pointing_tells_the_dot_and_asks_for_its_thumbnail(dots: Any, page: Any) -> None:
    tip = page.locator(".tip")
    for number, name in enumerate(PLACES):
        x, y = at(dots, *PLACES[name])
        page.mouse.move(x + 4, y - 4)
        assert tip.inner_text().split() == [name, "says", name]
        box = tip.bounding_box()
        assert box["y"] - 20 < y < box["y"] + box["height"] + 20, "the words stand elsewhere"
        if number in (0, 4):
            expect(page).to_contain_text(f"sheet {number // 4}")
    page.wait_for_timeout(400)
    pixel = "c => [...c.getContext('2d').getImageData(40, 40, 1, 1).data]"
    red, green, *_ = page.locator("canvas.thumb").evaluate(pixel)
    assert red > 150 > green, "no thumbnail was drawn"
    page.mouse.move(*at(dots, 0.9, 0.2))
    assert not tip.is_visible()
    page.mouse.move(*at(dots, 1, 0))
    assert "<b>odd</b>" in tip.inner_text(), "a name is text, whatever it looks like"


def test_a_click_opens_the_dot_under_the_pointer(dots: Any, page: Any) -> None:
    page.mouse.click(*at(dots, *PLACES["above"]))
    expect(page).to_contain_text("opened 3;")
    page.mouse.click(*at(dots, 0.9, 0.2))
    page.wait_for_timeout(500)
    expect(page).to_contain_text("opened 3;")


def test_a_drawn_line_arrives_where_it_was_drawn_and_is_forgotten(dots: Any, page: Any) -> None:
    wanted = [(0.2, 0.55), (0.6, 0.55), (0.6, 0.75), (0.2, 0.75)]
    page.mouse.move(*at(dots, *wanted[0]))
    page.mouse.down()
    for corner in wanted[1:]:
        page.mouse.move(*at(dots, *corner), steps=4)
    page.mouse.up()
    expect(page).not_to_contain_text("line none")
    line = page.locator("[data-testid=stMain]").inner_text().split("line ")[1].split("\n")[0]
    found = [tuple(map(float, pair.split(","))) for pair in line.split()]
    for corner in wanted:
        assert min(abs(x - corner[0]) + abs(y - corner[1]) for x, y in found) < 0.02
    assert all(0.19 < x < 0.61 and 0.54 < y < 0.76 for x, y in found)
    expect(page).to_contain_text("7 of 8 inside")
    page.mouse.move(*at(dots, 0.9, 0.2))
    box, alpha = dots.bounding_box(), "[x, y, 1, 1].map(Math.round)"
    ink = f"(c, [x, y]) => c.getContext('2d').getImageData(...{alpha}).data[3]"
    for point, drawn in (((0.4, 0.65), True), ((0.4, 0.45), False), ((0.4, 0.35), False)):
        x, y = at(dots, *point)
        assert (dots.evaluate(ink, [x - box["x"], y - box["y"]]) > 0) == drawn, point
    page.get_by_role("button", name="Clear lasso").click()
    expect(page).not_to_contain_text("7 of 8 inside")


def test_the_wheel_enlarges_and_dragging_moves(dots: Any, page: Any) -> None:
    x, y = at(dots, *PLACES["right"])
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    page.mouse.move(x + 1, y)
    assert "right" in page.locator(".tip").inner_text(), "what is pointed at stays there"
    page.mouse.move(*at(dots, *PLACES["centre"]))
    assert not page.locator(".tip").is_visible()
    page.get_by_role("button", name="Move").click()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 40, steps=3)
    page.mouse.up()
    page.mouse.move(x - 60, y + 40)
    assert "right" in page.locator(".tip").inner_text()
    expect(page).to_contain_text("line none")
    page.get_by_role("button", name="Reset view").click()
    page.mouse.move(*at(dots, *PLACES["left"]))
    assert "left" in page.locator(".tip").inner_text()


def test_keys_go_to_the_nearest_in_their_direction_and_open_it(dots: Any, page: Any) -> None:
    dots.focus()
    tip = page.locator(".tip")
    way = [("ArrowUp", "centre"), ("ArrowUp", "above"), ("ArrowDown", "centre")]
    way += [("ArrowLeft", "left"), ("ArrowRight", "centre"), ("ArrowRight", "right")]
    way += [("ArrowRight", "right"), ("ArrowLeft", "centre"), ("ArrowDown", "below")]
    for key, name in way:
        page.keyboard.press(key)
        assert tip.inner_text().split()[0] == name, (key, name)
    assert page.locator(".spoken").inner_text().startswith("below, says below")
    page.keyboard.press("Enter")
    expect(page).to_contain_text("opened 4;")


def test_the_legend_counts_and_makes_the_others_faint(dots: Any, page: Any) -> None:
    ink = """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data
      let sum = 0
      for (let i = 3; i < d.length; i += 4) sum += d[i]
      return sum }"""
    before = page.locator("canvas.dots").evaluate(ink)
    button = page.get_by_role("button", name=re.compile(r"wrong \(1\)"))
    assert page.get_by_role("button", name=re.compile(r"right \(7\)")).count() == 1
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    faint = page.locator("canvas.dots").evaluate(ink)
    assert 0.2 * before < faint < 0.6 * before
    page.mouse.move(*at(dots, *PLACES["left"]))
    assert not page.locator(".tip").is_visible(), "a faint dot is not pointed at"
    page.get_by_role("button", name=re.compile(r"wrong \(1\)")).click()
    assert page.locator("canvas.dots").evaluate(ink) == before
