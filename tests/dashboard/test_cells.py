"""Pictures of patches: where the patches end, the picture may go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.compare.where import patch_box
from attnlib.model import demo
from tests.dashboard.browsing import STREAMLIT, in_a_browser, serving
from tests.dashboard.driving import finish, part, path, use
from tests.dashboard.screen import Screen

SIZE = (62, 94)  # 3 x 5 patches of 16 pixels, and 14 pixels left over on both sides
COVERS = [48 / 62, 80 / 94]
# Every picture whose cells are patches over the image, by page and part.
MAPS = {
    ("cls_attention", "One head"): {"attention_patch"},
    ("head_similarity", "Numbers and flags"): {"head-peaks"},
    ("rollout_vs_flow", "Maps"): {f"compare_map_{name}" for name in ("raw", "rollout", "flow")},
    ("rollout_vs_flow", "Agreement"): {"compare_difference"},
    ("rollout_vs_flow", "Randomised weights"): {"compare_stage_0"},
    ("rollout_vs_flow", "Localisation"): {"compare_box_cells"},
    ("attention_walkthrough", "Step by step"): {"walk_patch"},
}


@pytest.fixture(scope="module")
def uneven() -> attnlib.Vit:
    """A model whose sides are no multiples of its patch."""
    torch.manual_seed(0)
    options = {"img_size": SIZE, "num_classes": 10, "depth": 2, "embed_dim": 48}
    module = timm.create_model("vit_tiny_patch16_224", **options).eval()
    return attnlib.load(module, device="cpu", img_size=SIZE, class_names=demo.CLASS_NAMES)


@pytest.mark.parametrize("place", MAPS)
def test_every_map_of_patches_says_how_far_they_reach(
    app: AppTest,
    screen: Screen,
    uneven: attnlib.Vit,
    place: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(app, uneven, monkeypatch, name="an uneven model")
    finish(app.run())
    app.session_state["image"] = demo.images()[3].name
    finish(app.switch_page(path(place[0])).run())
    part(app, place[1])
    shown = screen.cells(app)
    assert MAPS[place] <= set(shown)
    of_patches = [cells for cells in shown.values() if cells.shape == (3, 5)]
    assert len(of_patches) >= len(MAPS[place])
    for cells_ in of_patches:
        assert cells_.said["covers"] == pytest.approx(COVERS), cells_.said["alt"]


def test_cells_that_are_no_patches_fill_their_picture(oblong: AppTest, screen: Screen) -> None:
    finish(oblong.switch_page(path("head_similarity")).run())
    shown = screen.cells(oblong)
    assert shown
    for cells_ in shown.values():
        assert cells_.said["covers"] == [1, 1], cells_.said["alt"]


def test_a_drawn_box_ends_where_its_patches_end(uneven: attnlib.Vit) -> None:
    boxes = uneven.layout.boxes(SIZE).reshape(3, 5, 4)
    for first, second in (((0, 0), (0, 0)), ((2, 4), (1, 3)), ((0, 4), (2, 0))):
        rows, cols = zip(first, second, strict=True)
        top, left = boxes[min(rows), min(cols), :2]
        bottom, right = boxes[max(rows), max(cols), 2:]
        found = patch_box(first, second, (3, 5), SIZE[::-1], uneven.covers)
        assert found == (left, top, right, bottom)


# One picture of 3 x 5 patches, and in words the patch that was clicked.
SCRIPT = f"""
import streamlit as st
from PIL import Image
from attnlib.dashboard.parts.cells import cells

def pick(cell):
    st.session_state["picked"] = cell

picture = Image.new("RGB", ({SIZE[1]} * 5, {SIZE[0]} * 5), "white")
cells(picture, (3, 5), key="patches", alt="patches", width=470, on_pick=pick, covers={COVERS})
st.markdown(f"picked {{st.session_state.get('picked')}}")
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    script: Path = tmp_path_factory.mktemp("cells") / "script.py"
    script.write_text(SCRIPT)
    with serving([*STREAMLIT, str(script)]) as url:
        yield url


@in_a_browser
def test_a_click_on_a_pixel_is_a_click_on_its_patch(small, page) -> None:  # type: ignore[no-untyped-def]
    expect = pytest.importorskip("playwright.sync_api").expect
    page.goto(small)
    patches = page.locator("[data-testid=stMain] canvas").first
    patches.wait_for()
    page.wait_for_timeout(800)
    body = page.locator("[data-testid=stMain]")
    tip = patches.locator("xpath=..").locator(".tip")
    box = patches.bounding_box()
    scale = box["width"] / SIZE[1]
    # (x, y) in pixels of the model's input: the ends of the last patch, and both sides of a border.
    for x, y in ((79, 47), (64.5, 32.5), (63.5, 31.5), (15.5, 0.5), (16.5, 0.5)):
        page.mouse.click(box["x"] + x * scale, box["y"] + y * scale)
        cell = int(y // 16), int(x // 16)
        expect(body).to_contain_text(re.compile(rf"picked {re.escape(str(cell))}"))
        expect(tip).to_contain_text(f"row {cell[0]} · column {cell[1]}")
    for x, y in ((81, 10), (10, 49), (93, 61)):
        page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
        expect(tip).to_have_css("opacity", "0")
        page.mouse.click(box["x"] + x * scale, box["y"] + y * scale)
    page.wait_for_timeout(500)
    expect(body).to_contain_text("picked (0, 1)")
