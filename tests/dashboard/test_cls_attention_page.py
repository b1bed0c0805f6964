"""The page “CLS attention”, driven in process."""

from __future__ import annotations

import re

import numpy as np
import pytest
import timm
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.attention.choose import READOUT
from attnlib.dashboard.parts.look import fused
from attnlib.dashboard.state import results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data.image import sha256
from attnlib.heads import rows as attention
from attnlib.model import demo
from tests.dashboard.driving import settle, text, use

PAGE = "../../pages/cls_attention/page.py"
VIEWS = [
    "One head",
    "Heads of a layer",
    "All layers × heads",
    "Through the layers",
    "Token × token",
    "Compare",
]


@pytest.fixture
def page(app: AppTest) -> AppTest:
    settle(app.run())
    app.session_state["image"] = demo.images()[3].name
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def captions(app: AppTest) -> list[str]:
    return [caption.value for caption in app.caption]


def test_without_a_choice_the_most_confident_mistake_is_shown(app: AppTest) -> None:
    settle(app.run())
    app.switch_page(PAGE).run()
    assert not app.exception
    wrong = [p for p in app.session_state["workspace"].predictions if p.wrong]
    assert max(wrong, key=lambda p: p.confidence).name in text(app)
    assert f"1 of {len(wrong)} in the gallery" in text(app)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens(page: AppTest, view: str) -> None:
    page.segmented_control(key="attention_view").set_value(view).run()
    assert not page.exception
    assert not page.warning
    assert "× uniform" in text(page)


def test_the_share_on_patches_is_that_of_the_library(page: AppTest, vit: attnlib.Vit) -> None:
    image = demo.images()[3]
    record = results.store().inspected.get((ModelChoice(), sha256(image.data)))
    assert record is not None
    for layer, head in ((5, "mean"), (2, "1"), (0, "3")):
        page.selectbox(key="attention_layer").set_value(str(layer)).run()
        page.selectbox(key="attention_head").set_value(head).run()
        rows = record.record.cls_rows[layer].reshape(4, 8, 8)
        inside = fused(rows, head).sum()
        found = next(c for c in captions(page) if c.startswith("Query:"))
        assert "CLS token" in found
        assert f"layer {layer}" in found
        share = re.search(r"([\d.]+)% of its attention", found)
        assert share is not None
        assert float(share[1]) == pytest.approx(100 * inside, abs=0.051)


def test_a_patch_as_the_query_is_named_everywhere(page: AppTest, vit: attnlib.Vit) -> None:
    page.session_state["attention_query"] = 1 + 8 * 2 + 5
    page.run()
    assert not page.exception
    assert any("patch (2, 5)" in c and "layer 5" in c for c in captions(page))
    assert page.selectbox(key="attention_asks").value == 22
    for view in VIEWS:
        page.segmented_control(key="attention_view").set_value(view).run()
        assert not page.exception, view
    page.segmented_control(key="attention_view").set_value("One head").run()
    page.selectbox(key="attention_asks").set_value(READOUT).run()
    assert page.selectbox(key="attention_asks").value == READOUT, "its name is on screen"
    assert page.session_state["attention_query"] is None
    assert any("CLS token" in c for c in captions(page))


def test_the_pattern_is_named_with_its_number(page: AppTest) -> None:
    page.segmented_control(key="attention_view").set_value("Token × token").run()
    page.selectbox(key="attention_head").set_value("2").run()
    words = "\n".join(m.value for m in page.markdown)
    assert re.search(r"head 2: \*\*(local|global|diagonal|broadcast)\*\*", words)
    assert "threshold 0.5" in words


def test_comparison_with_another_image_and_model(page: AppTest) -> None:
    page.segmented_control(key="attention_view").set_value("Compare").run()
    page.segmented_control(key="attention_compare").set_value("Another image").run()
    other = demo.images()[9].name
    page.selectbox(key="attention_other").set_value(other).run()
    assert any(other in t.value for t in page.text)
    page.segmented_control(key="attention_compare").set_value("Another model").run()
    page.selectbox(key="attention_other_model").set_value("demo").run()
    assert not page.exception
    titles = [t.value for t in page.text]
    assert len(titles) == 2 and all("layer 5" in title for title in titles)


def test_a_model_that_averages_names_its_readout(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=4, global_pool="avg"
    )
    use(page, module, monkeypatch)
    settle(page.run())
    assert not page.exception
    for view in VIEWS:
        page.segmented_control(key="attention_view").set_value(view).run()
        assert not page.exception, view
    page.segmented_control(key="attention_view").set_value("One head").run()
    assert any("average over patches" in c for c in captions(page))


def test_a_model_of_windows_is_told_what_it_has(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(page, timm.create_model("swin_tiny_patch4_window7_224", img_size=56), monkeypatch)
    settle(page.run())
    assert not page.exception
    assert any("No token stands for the prediction" in w.value for w in page.warning)
    page.selectbox(key="window_layer").set_value(3).run()
    assert not page.exception


def test_columns_are_what_the_page_calls_looking_back(vit: attnlib.Vit, pictures) -> None:  # type: ignore[no-untyped-def]
    subject = vit.subject(pictures[3])
    back = attention.column(subject, 4, 22)
    whole = vit.attention(pictures[3], 4)
    np.testing.assert_allclose(back, whole[:, :, 22], atol=2e-6)
