"""What only a browser shows: cold links, clicks, uploads, and several visitors at once."""

from __future__ import annotations

import io
import re
import urllib.request

import numpy as np
import pytest
from PIL import Image

from attnlib.model import demo
from tests.dashboard.browsing import WAIT, in_a_browser, serving

pytestmark = in_a_browser
playwright = pytest.importorskip("playwright.sync_api")


def picture(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def drop(page, files: list[tuple[str, bytes]]) -> None:  # type: ignore[no-untyped-def]
    chooser = page.locator("[data-testid=stFileUploader] input[type=file]").first
    chooser.set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files]
    )


def test_a_new_visitor_sees_mistakes_beside_their_maps(untouched, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(untouched)
    page.locator("[data-testid=stMain] article.card").first.wait_for()
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("what the model saw")
    playwright.expect(body).to_contain_text("(predicted)")
    playwright.expect(body).to_contain_text("(true)")
    playwright.expect(body).to_contain_text("nearest correct")
    # What costs little is looked for by itself, once the page stands.
    dear = "5 that cost more can be asked: preprocessing, shortcut, reliance on the"
    playwright.expect(body).to_contain_text(f"Diagnosis: nothing was found in 4 questions; {dear}")
    # The demo that opens is the one in which there is a cause to find.
    said = page.locator("[data-testid=stMain] article.card").first
    playwright.expect(said).to_contain_text("object-")
    assert page.locator("[data-testid=stException]").count() == 0


@pytest.mark.parametrize(("width", "whole"), [(1440, 3), (900, 1)])
def test_whole_mistakes_stand_above_the_fold(untouched, page, width, whole) -> None:  # type: ignore[no-untyped-def]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(untouched)
    cards = page.locator("[data-testid=stMain] article.card")
    for i in range(whole):
        playwright.expect(cards.nth(i).locator("img").last).to_be_visible()
        playwright.expect(cards.nth(i)).to_be_in_viewport(ratio=1)


def test_a_cold_deep_link_shows_the_whole_app(server, page) -> None:  # type: ignore[no-untyped-def]
    name = demo.images()[7].name
    page.goto(f"{server}/prediction-debugging?image={name}&method=Raw+attention&layer=2&head=1")
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text(name)
    playwright.expect(body).to_contain_text("capture checked")
    playwright.expect(page.locator("[data-testid=stSidebar]")).to_contain_text("Model source")
    boxes = page.locator("[data-testid=stMain] [data-testid=stSelectbox]")
    values = {box.inner_text().strip(): box.locator("input").input_value() for box in boxes.all()}
    assert values["Method"] == "Raw attention"
    assert (values["Layer"], values["Head"]) == ("2", "1")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("cls-attention", "CLS attention"),
        ("head-similarity", "Head similarity"),
        ("rollout-vs-flow", "Rollout vs flow"),
        ("complexity-calculator", "Complexity calculator"),
        ("attention-walkthrough", "Attention walk-through"),
    ],
)
def test_every_page_opens_cold(untouched, page, path: str, title: str) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{untouched}/{path}")
    playwright.expect(page.locator("[data-testid=stMain] h1")).to_contain_text(title)
    playwright.expect(page.locator("[data-testid=stSidebar]")).to_contain_text("Model source")
    playwright.expect(page.locator("[data-testid=stSidebarNav]")).to_contain_text(title)
    page.wait_for_timeout(2000)
    assert page.locator("[data-testid=stException]").count() == 0


ADDRESSES = {
    "": "Prediction debugging",
    "prediction-debugging?layer=2&method=raw": "Prediction debugging",
    "cls-attention?attention_layer=2": "CLS attention",
    "head-similarity": "Head similarity",
    "rollout-vs-flow": "Rollout vs flow",
    "complexity-calculator": "Complexity calculator",
    "attention-walkthrough": "Attention walk-through",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_opens_as_the_first_visit_to_a_fresh_server(page, address: str) -> None:  # type: ignore[no-untyped-def]
    outside = []
    page.on("request", lambda r: outside.append(r.url) if is_outside(r.url) else None)
    with serving() as url:
        page.goto(f"{url}/{address}")
        heading = page.locator("[data-testid=stMain] h1")
        playwright.expect(heading).to_contain_text(ADDRESSES[address])
        playwright.expect(page.locator("[data-testid=stSidebar]")).to_contain_text("Chosen image")
        page.wait_for_timeout(3000)
        assert page.locator("[role=dialog]").count() == 0, "Page not found"
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.title() == "ViT debugger"
        asked = dict(pair.split("=") for pair in address.partition("?")[2].split("&") if pair)
        for name, text in asked.items():
            assert f"{name}={text}" in page.url or name in ("layer", "method")
    assert not outside, "the browser was sent to other hosts"


def is_outside(url: str) -> bool:
    return not re.match(r"(https?|wss?)://localhost[:/]|data:|blob:", url)


def test_back_undoes_a_choice_and_leads_to_the_page_before(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{server}/cls-attention?image={demo.images()[3].name}")
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("where the CLS token looks")
    for view, words in (("Heads of a layer", "head by head"), ("Token × token", "one head")):
        body.get_by_text(view, exact=True).click()
        playwright.expect(body).to_contain_text(words)
        page.wait_for_url(re.compile("attention_view=" + view[:5]))
        # For two seconds an older address may be one that was sent before the new one arrived.
        page.wait_for_timeout(2500)
    page.go_back()
    playwright.expect(body).to_contain_text("head by head")
    page.wait_for_timeout(2500)
    page.go_back()
    playwright.expect(body).to_contain_text("where the CLS token looks")
    assert "attention_view" not in page.url
    page.wait_for_timeout(2500)
    page.go_forward()
    playwright.expect(body).to_contain_text("head by head")


def test_a_sentence_about_the_link_stays_until_it_is_read(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{server}/cls-attention?image={demo.images()[3].name}&attention_layer=²")
    toast = page.locator("[data-testid=stToast]")
    playwright.expect(toast).to_contain_text("the link says “²”, which is not one of")
    page.wait_for_timeout(5000)
    playwright.expect(toast).to_contain_text("Shown is 5")
    assert "attention_layer" not in page.url


def test_a_click_on_a_patch_makes_it_the_query(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{server}/cls-attention?image={demo.images()[3].name}")
    patches = page.locator("[data-testid=stMain] canvas").first
    patches.wait_for()
    page.wait_for_timeout(1500)
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("where the CLS token looks")
    box = patches.bounding_box()
    patches.click(position={"x": box["width"] * 5.5 / 8, "y": box["height"] * 2.5 / 8})
    playwright.expect(body).to_contain_text("where patch (2, 5) looks")
    playwright.expect(body).to_contain_text("who looks at patch (2, 5)")
    patches.press("ArrowDown")
    playwright.expect(body).to_contain_text("where patch (3, 5) looks")


def test_a_small_map_opens_large(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{server}/cls-attention?attention_view=All+layers+%C3%97+heads")
    maps = page.locator("[data-testid=stMain] canvas").first
    maps.wait_for()
    page.wait_for_timeout(1500)
    box = maps.bounding_box()
    maps.click(position={"x": box["width"] * 2.5 / 4, "y": box["height"] * 3.5 / 6})
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("map of head 2")
    playwright.expect(body).to_contain_text("layer 3, head 2")


def test_open_and_back(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(server)
    page.get_by_role("button", name="Open cifar10").first.click()
    playwright.expect(page.locator("[data-testid=stMain]")).to_contain_text("capture checked")
    # The address is written when the run has ended.
    page.wait_for_url(re.compile("image="))
    page.locator("button:has-text('All images')").first.click()
    playwright.expect(page.locator("[data-testid=stMain]")).to_contain_text("confidence when wrong")


def told(page, x: float, y: float) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """What the chart's tooltip says at a place of the window."""
    page.mouse.move(x, y, steps=2)
    page.wait_for_timeout(120)
    tip = page.locator("#vg-tooltip-element.visible")
    cells = tip.first.locator("td").all_inner_texts() if tip.count() else []
    return {key.rstrip(":"): value for key, value in zip(cells[::2], cells[1::2], strict=True)}


def test_a_cell_of_the_confusion_matrix_filters_the_gallery(server, page, vit) -> None:  # type: ignore[no-untyped-def]
    images = demo.images()
    names = {}
    for image in images:
        record = vit.inspect(Image.open(io.BytesIO(image.data)).convert("RGB"))
        pair = image.label, vit.class_names[record.predicted]
        names.setdefault(pair, []).append(image.name)
    # More images than the mirrored cell has: a transposed matrix shows another number.
    true, predicted = max(
        (pair for pair in names if pair[0] != pair[1]),
        key=lambda pair: len(names[pair]) - len(names.get(pair[::-1], [])),
    )
    assert 6 >= len(names[true, predicted]) > len(names.get((predicted, true), []))
    page.goto(server)
    page.get_by_text("Confusion matrix").click()
    chart = page.locator("[data-testid=stVegaLiteChart]")
    chart.locator("canvas, svg").first.wait_for()
    page.wait_for_timeout(1500)
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    x, y = right - 25.0, box["y"] + 15.0
    while told(page, x, y).get("true") != true:
        y += 20
        assert y < bottom, f"no row is called {true}"
    while (tip := told(page, x, y)).get("predicted") != predicted:
        assert tip.get("true", true) == true, "a row is a true class"
        x -= 20
        assert x > box["x"], f"no column is called {predicted}"
    assert tip["images"] == str(len(names[true, predicted]))
    page.mouse.click(x, y)
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text(f"{true} taken for {predicted}")
    cards = body.locator("article.card")
    playwright.expect(cards).to_have_count(len(names[true, predicted]))
    shown = {cards.nth(i).get_attribute("data-name") for i in range(cards.count())}
    assert shown == set(names[true, predicted])
    assert page.locator("[data-testid=stException]").count() == 0


def test_eight_visitors_at_once_each_see_their_own_results(server, browser, vit) -> None:  # type: ignore[no-untyped-def]
    visitors = []
    for visitor in range(8):
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        page = context.new_page()
        page.set_default_timeout(3 * WAIT)
        files = [(f"v{visitor}-{i}.png", picture(100 * visitor + i)) for i in range(3)]
        visitors.append((context, page, files))
        page.goto(server, wait_until="commit")
    for _, page, files in visitors:
        page.locator("[data-testid=stFileUploader] input[type=file]").first.wait_for(
            state="attached"
        )
        drop(page, files)
    for context, page, files in visitors:
        body = page.locator("[data-testid=stMain]")
        for name, _ in files:
            playwright.expect(body).to_contain_text(name, timeout=3 * WAIT)
        # A run that has just begun takes cards away that it draws again.
        words = ""
        for _ in range(3 * WAIT // 250):
            texts = page.locator("[data-testid=stMain] article.card").all_inner_texts()
            words = re.sub(r"\s+", " ", " ".join(texts))
            shown = set(re.findall(r"v\d-\d\.png", words))
            assert shown <= {name for name, _ in files}, "a visitor sees another's images"
            if len(shown) == len(files):
                break
            page.wait_for_timeout(250)
        assert len(shown) == len(files), body.inner_text()
        assert page.locator("[data-testid=stException]").count() == 0
        for name, data in files:
            record = vit.inspect(Image.open(io.BytesIO(data)))
            top = record.probabilities.max()
            label = vit.class_names[record.predicted]
            # Whether there is space between two columns depends on what is drawn already.
            card = words.split(name, 1)[1].replace(" ", "").removeprefix("Open")
            assert card.startswith(f"{label}predicted{top:.1%}"), (name, card[:60])
        context.close()


def test_hostile_uploads_do_no_harm(server, page) -> None:  # type: ignore[no-untyped-def]
    page.goto(server)
    page.locator("[data-testid=stFileUploader] input[type=file]").first.wait_for(state="attached")
    html = b"<html><script>document.title='owned'</script></html>"
    drop(
        page,
        [
            ("good.png", picture(1)),
            ("page.png", html),
            ("empty.png", b""),
            ("cut.png", picture(2)[:200]),
            ("<b onmouseover=alert(1)>.png", picture(3)),
        ],
    )
    body = page.locator("[data-testid=stMain]")
    playwright.expect(body).to_contain_text("good.png")
    playwright.expect(body).to_contain_text("3 files could not be used")
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stMain] b[onmouseover]").count() == 0
    assert page.title() != "owned"
    with urllib.request.urlopen(f"{server}/_stcore/health", timeout=5) as answer:
        assert answer.status == 200
