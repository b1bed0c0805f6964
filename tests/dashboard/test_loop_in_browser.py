"""What only a browser shows of the loop: keys, the pointer, the large picture, its pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import attnlib
from attnlib.dashboard.parts.pictures import Style, over
from attnlib.methods.heat import scale_of
from attnlib.model import demo
from docs.make_screens import IDLE
from tests.dashboard.browsing import in_a_browser

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = in_a_browser


def wrong(vit: attnlib.Vit) -> list[str]:
    """The demo's mistakes, most confident first."""
    found = {}
    for image in demo.images():
        record = vit.inspect(Image.open(io.BytesIO(image.data)).convert("RGB"))
        if vit.class_names[record.predicted] != image.label:
            found[image.name] = float(record.probabilities.max())
    return sorted(found, key=lambda name: -found[name])


def opened(page) -> str | None:  # type: ignore[no-untyped-def]
    return page.evaluate("new URL(location).searchParams.get('image')")  # type: ignore[no-any-return]


def wait_opened(page, name: str | None) -> None:  # type: ignore[no-untyped-def]
    page.wait_for_function("name => new URL(location).searchParams.get('image') === name", arg=name)


def test_keys_walk_through_the_gallery(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    names = wrong(vit)
    page.goto(f"{server}/?gallery_page=2")
    # While images are still inspected the order changes.
    playwright.expect(page.locator("[data-testid=stMain]")).to_contain_text("80 images")
    card = page.locator(f"[data-testid=stMain] article[data-name='{names[8]}']")
    card.wait_for()
    card.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    wait_opened(page, names[7])
    page.get_by_text("capture checked").first.wait_for()
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    assert page.evaluate(scrolled) == 0, "the top of the page is in view"
    page.keyboard.press("ArrowRight")
    wait_opened(page, names[8])
    page.keyboard.press("ArrowRight")
    wait_opened(page, names[9])
    page.keyboard.press("ArrowLeft")
    wait_opened(page, names[8])
    # Whoever types keeps the arrows.
    page.get_by_role("button", name="Note and label").click()
    note = page.get_by_label("Note", exact=True)
    note.fill("seen")
    note.press("ArrowLeft")
    assert opened(page) == names[8]
    page.keyboard.press("Escape")
    note.wait_for(state="hidden")
    page.locator("h1").click()
    page.keyboard.press("Escape")
    wait_opened(page, None)
    back = page.locator(f"[data-testid=stMain] article[data-name='{names[8]}']")
    back.wait_for()
    playwright.expect(back).to_be_in_viewport()
    assert "gallery_page=2" in page.url


def test_keys_walk_on_every_page_after_another(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    names = wrong(vit)
    page.goto(f"{server}/?image={names[1]}")
    page.get_by_text("capture checked").first.wait_for()

    def wait() -> None:
        page.wait_for_function(IDLE, polling=200)

    wait()
    # A second run of the page, whose listener must not outlive it either.
    page.keyboard.press("ArrowRight")
    wait_opened(page, names[2])
    wait()
    for title in ("Head similarity", "CLS attention", "Prediction debugging"):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
        page.locator("h1", has_text=title).wait_for()
        page.get_by_test_id("stMain").get_by_role("button", name="Next", exact=True).wait_for()
        page.locator("h1").click()
        wait()
        page.keyboard.press("ArrowLeft")
        wait_opened(page, names[1])
        wait()
        page.keyboard.press("ArrowRight")
        wait_opened(page, names[2])


def test_the_pointer_marks_a_patch_in_every_picture_of_an_image(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    name = wrong(vit)[0]
    image = next(i for i in demo.images() if i.name == name)
    record = vit.inspect(Image.open(io.BytesIO(image.data)).convert("RGB"))
    true = vit.class_names.index(image.label)
    picture = Image.open(io.BytesIO(image.data)).convert("RGB")
    maps = [vit.attribute(picture, "relevance", c).values for c in (record.predicted, true)]
    page.goto(f"{server}/?image={name}")
    board = page.locator("[data-testid=stMain] article.card")
    figures = board.locator(".aside .pic, .maps .pic")
    playwright.expect(figures).to_have_count(3)
    page.wait_for_timeout(500)
    box = figures.nth(1).bounding_box()
    row, col = 6, 2
    figures.nth(1).hover(
        position={"x": (col + 0.5) / 8 * box["width"], "y": (row + 0.5) / 8 * box["height"]}
    )
    for i in range(3):
        mark = figures.nth(i).locator(".mark").bounding_box()
        around = figures.nth(i).bounding_box()
        assert (mark["x"] - around["x"]) / around["width"] == pytest.approx(col / 8, abs=0.01)
        assert (mark["y"] - around["y"]) / around["height"] == pytest.approx(row / 8, abs=0.01)
    for i, values in enumerate(maps, 1):
        said = figures.nth(i).locator(".value").inner_text()
        assert float(said.split()[0]) == pytest.approx(float(values[row, col]), rel=0.01, abs=1e-6)
    page.mouse.move(2, 2)
    playwright.expect(figures.nth(0).locator(".mark")).to_be_hidden()


def test_a_picture_opens_large_and_has_the_pixels_of_the_file(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    name = wrong(vit)[1]
    image = next(i for i in demo.images() if i.name == name)
    picture = Image.open(io.BytesIO(image.data)).convert("RGB")
    record = vit.inspect(picture)
    true = vit.class_names.index(image.label)
    maps = [vit.attribute(picture, "relevance", c) for c in (record.predicted, true)]
    page.goto(f"{server}/?image={name}")
    figures = page.locator("[data-testid=stMain] article.card .maps .pic")
    playwright.expect(figures).to_have_count(2)
    assert figures.first.bounding_box()["width"] >= 420, "at 1440"
    figures.first.click()
    large = page.locator("dialog .pic")
    large.wait_for()
    page.wait_for_timeout(300)
    box = large.bounding_box()
    assert box["width"] > 700
    shot = Image.open(io.BytesIO(large.screenshot())).convert("RGB")
    scale = scale_of(maps, "shared")
    drawn = over(vit.crop(picture), maps[0].values, scale, Style(), shot.width)
    # In the middle of each patch, where no edge of another browser's rounding is.
    at = ((np.arange(8) + 0.5) / 8 * shot.width).astype(int)
    there = np.asarray(shot, int)[at][:, at]
    expected = np.asarray(drawn.resize(shot.size), int)[at][:, at]
    assert np.abs(there - expected).mean() < 3
    assert np.abs(there - expected).max() < 25, "browsers enlarge photographs in their own way"
    page.keyboard.press("Escape")
    large.wait_for(state="detached")
    assert opened(page) == name, "Esc closed the picture, not the case"


def test_controls_behind_a_button_stand_where_they_were_set(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{server}/?opacity=0.6&keep=40&colormap=cividis&fade=no")
    playwright.expect(page.locator("[data-testid=stMain]")).to_contain_text("80 images")
    page.get_by_role("button", name="Drawing").click()
    sliders = page.locator("[data-testid=stPopoverBody] input[type=range]")
    playwright.expect(sliders).to_have_count(2)
    assert [float(sliders.nth(i).input_value()) for i in (0, 1)] == [0.6, 40.0]
    body = page.locator("[data-testid=stPopoverBody]")
    playwright.expect(body.get_by_role("combobox")).to_have_value("cividis")
    assert not body.get_by_role("switch").first.is_checked()
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)
    for kept in ("opacity=0.6", "keep=40", "colormap=cividis", "fade=no"):
        assert kept in page.url


def test_a_brush_paints_patches_without_a_gap(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    name = wrong(vit)[0]
    page.goto(f"{server}/?image={name}&change_open=yes&change_click=paints")
    picture = page.get_by_label("The image; click on patches to choose them")
    picture.wait_for()
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    row, side = box["y"] + box["height"] * 2.5 / 8, box["width"] / 8
    page.mouse.move(box["x"] + 1.5 * side, row)
    page.mouse.down()
    # One jump over three patches: those on the way are painted too.
    page.mouse.move(box["x"] + 5.5 * side, row)
    page.mouse.up()
    page.wait_for_function(
        "() => new URL(location).searchParams.get('change_region') === '17-21'", timeout=30_000
    )
