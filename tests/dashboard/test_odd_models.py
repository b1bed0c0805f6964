"""Every part of every page, with models that lack something the pages speak of."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import timm
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib.methods import METHODS
from attnlib.model import demo
from tests.dashboard.driving import PAGES, finish, use

ODD = {
    "one layer": {"depth": 1},
    "pools the maximum": {"depth": 2, "global_pool": "max"},
    "one head": {"depth": 2, "num_heads": 1},
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("odd", ODD)
def test_no_part_of_a_page_fails(
    app: AppTest, odd: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=64, num_classes=10, embed_dim=48, **ODD[odd]
    )
    app.run()
    vit = use(app, module, monkeypatch)
    app.run()
    finish(app)
    app.session_state["image"] = demo.images()[3].name
    app.switch_page(f"../../pages/{name}/page.py").run()
    finish(app)
    key, parts = PAGES[name]
    for part in parts:
        if any(element.key == key for element in app.get("button_group")):
            app.segmented_control(key=key).set_value(part).run()
            finish(app)
    if name != "prediction_debugging":
        return
    offered = [n for n, m in METHODS.items() if vit.support.defines(m.needs)]
    assert app.selectbox(key="method").options == [METHODS[n].title for n in offered]
    for method in offered:
        app.selectbox(key="method").set_value(method).run()
        finish(app)


def test_the_scale_of_the_whole_matrix_ends_where_it_is_told(app: AppTest) -> None:
    app.run()
    app.session_state["image"] = demo.images()[3].name
    app.session_state["attention_view"] = "Token × token"
    app.session_state["attention_head"] = "1"
    app.switch_page("../../pages/cls_attention/page.py").run()
    finish(app)
    pictures = {}
    for clip in ("largest", "95 %"):
        app.segmented_control(key="attention_clip").set_value(clip).run()
        drawn_last = [
            element
            for element in app.get("bidi_component")
            if element.proto.component_name == "attnlib_cells"
        ][-1]
        data = json.loads(drawn_last.proto.json)
        values = np.frombuffer(base64.b64decode(data["values"]), np.float32)
        drawn = Image.open(io.BytesIO(base64.b64decode(data["image"].split(",")[1]))).convert("RGB")
        pictures[clip] = np.asarray(drawn).reshape(-1, 3)
        # The largest value always has the last colour; so has all that lies beyond the end.
        last = pictures[clip][values.argmax()]
        pictures[clip, "saturated"] = (pictures[clip] == last).all(axis=1).mean()
    assert pictures["largest", "saturated"] < 0.01
    assert 0.03 < pictures["95 %", "saturated"] < 0.1
