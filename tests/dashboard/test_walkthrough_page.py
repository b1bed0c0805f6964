"""The page “Attention walk-through”, driven in process."""

from __future__ import annotations

import re

import numpy as np
import pytest
import timm
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.heads.intervention import at_temperature
from attnlib.lessons.walkthrough import walk
from attnlib.model import demo
from tests.dashboard.driving import settle, text, use

PAGE = "../../pages/attention_walkthrough/page.py"


@pytest.fixture
def page(app: AppTest) -> AppTest:
    settle(app.run())
    app.session_state["image"] = demo.images()[3].name
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return "\n".join(m.value for m in app.markdown)


def step(app: AppTest, number: int) -> None:
    app.session_state["walk_step"] = number
    app.run()
    assert not app.exception


def test_forwards_and_back(page: AppTest) -> None:
    seen = []
    for _ in range(9):
        seen.append(next(c.value for c in page.caption if c.value.startswith("Step ")))
        page.button(key="walk_next").click().run()
        assert not page.exception
    assert seen == [f"Step {i} of 10" for i in range(1, 10)]
    assert page.button(key="walk_next").disabled
    page.button(key="walk_back").click().run()
    assert any(c.value == "Step 9 of 10" for c in page.caption)


def test_every_number_is_the_models(page: AppTest, vit: attnlib.Vit, pictures) -> None:  # type: ignore[no-untyped-def]
    page.selectbox(key="walk_layer").set_value("2").run()
    page.selectbox(key="walk_head").set_value("3").run()
    page.session_state["walk_query"] = 30
    found = walk(vit, vit.pixels(pictures[3]), 2, 30)
    weights = found.weights[3]
    step(page, 4)
    largest = re.search(r"The largest, ([\d.]+)%, is on \*\*(.+?)\*\*", words(page))
    assert largest is not None
    assert float(largest[1]) == pytest.approx(100 * weights.max(), abs=0.006)
    assert largest[2] == vit.layout.token_name(int(weights.argmax()))
    step(page, 6)
    length = re.search(r"Length (\d+\.\d+)", words(page))
    assert length is not None
    assert float(length[1]) == pytest.approx(np.linalg.norm(found.heads[3]), rel=1e-3)
    step(page, 8)
    assert f"({vit.width}, {vit.width})" in words(page)
    difference = re.search(r"largest difference is ([\d.e+-]+)\.", words(page))
    assert difference is not None and float(difference[1]) < 1e-5


def test_play_goes_on_by_itself_and_stops_at_the_end(page: AppTest) -> None:
    page.button(key="walk_play").click().run()
    assert page.session_state["walk_playing"]
    page.session_state["walk_moved"] = 0.0
    page.run()
    assert page.session_state["walk_step"] == 1
    page.session_state["walk_step"] = 9
    page.session_state["walk_moved"] = 0.0
    page.run()
    assert not page.session_state["walk_playing"]


def test_temperature(page: AppTest, vit: attnlib.Vit, pictures) -> None:  # type: ignore[no-untyped-def]
    page.segmented_control(key="walk_part").set_value("Temperature").run()
    page.select_slider(key="walk_temperature").set_value(10.0).run()
    page.toggle(key="walk_whole").set_value(True).run()
    assert not page.exception
    logits = at_temperature(vit, vit.pixels(pictures[3]), 10.0)[0]
    top = float(logits.softmax(0).max())
    said = re.search(r"\(([\d.]+)%\)\.", words(page))
    assert said is not None and float(said[1]) == pytest.approx(100 * top, abs=0.06)
    page.toggle(key="walk_unscaled_toggle").set_value(True).run()
    assert not page.exception
    found = walk(vit, vit.pixels(pictures[3]), 5, 0)
    bare = found.at(scaled=False)[0]
    wide = bare.astype(float)
    entropy = -(wide[wide > 0] * np.log(wide[wide > 0])).sum() / np.log(65)
    shown = re.search(r"would fall from [\d.]+ to ([\d.]+),", words(page))
    assert shown is not None and float(shown[1]) == pytest.approx(entropy, abs=0.0006)


def test_head_explorer(page: AppTest) -> None:
    page.segmented_control(key="walk_part").set_value("Head explorer").run()
    assert not page.exception
    assert any("in all heads of layer 5" in s.value for s in page.subheader)


def test_the_playground_says_that_it_is_random(page: AppTest) -> None:
    page.segmented_control(key="walk_part").set_value("Playground").run()
    assert not page.exception
    assert any("random" in i.value for i in page.info)
    assert "16,640 parameters" in words(page)
    page.number_input(key="toy_heads").set_value(5).run()
    assert not page.exception
    assert any("5 heads do not divide the dimension 64" in w.value for w in page.warning)
    page.number_input(key="toy_heads").set_value(8).run()
    page.toggle(key="toy_causal").set_value(True).run()
    page.toggle(key="toy_cross").set_value(True).run()
    assert not page.exception
    page.selectbox(key="toy_example").set_value("own text").run()
    page.text_input(key="toy_text").set_value("").run()
    assert not page.exception
    assert any("at least one word" in w.value for w in page.warning)


def test_models_that_cannot_be_followed_say_why(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(page, timm.create_model("swin_tiny_patch4_window7_224", img_size=56), monkeypatch)
    settle(page.run())
    assert not page.exception
    assert any("window" in w.value for w in page.warning)


def test_a_model_without_a_cls_token_starts_at_a_patch(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = timm.create_model(
        "vit_base_patch16_siglip_224", img_size=64, depth=2, embed_dim=48, num_heads=3
    )
    use(page, module, monkeypatch)
    settle(page.run())
    assert not page.exception
    assert "patch (2, 2)" in text(page)
