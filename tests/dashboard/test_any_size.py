"""Pages show images that keep their shape, before a model that takes any, with their own grids."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torchvision import transforms as T  # type: ignore[import-untyped]

from attnlib.dashboard.state import results
from attnlib.model import demo
from tests.dashboard.driving import PAGES, finish, use

NORMAL = T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)])


def prepare(image: Image.Image) -> torch.Tensor:
    """Landscape for bright images, portrait for dark ones: every other has its own shape."""
    bright = np.asarray(image).mean() > 110
    prepared: torch.Tensor = NORMAL(image.resize((96, 64) if bright else (64, 96)))
    return prepared


@pytest.mark.parametrize("name", PAGES)
def test_every_part_of_every_page(app: AppTest, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_tiny_patch16_224",
        img_size=64,
        num_classes=10,
        embed_dim=48,
        depth=2,
        dynamic_img_size=True,
    )
    app.run()
    vit = use(app, module, monkeypatch, transform=prepare, img_size=64)
    app.run()
    finish(app)
    session = app.session_state["session"]
    shapes = set()
    for sample in session.samples:
        found = results.inspect(session.choice, vit, [sample])[0]
        assert isinstance(found, results.Inspected)
        height, width, _ = found.crop.shape
        assert found.record.grid == (height // 16, width // 16)
        shapes.add(found.record.grid)
    assert shapes == {(4, 6), (6, 4)}
    app.session_state["image"] = demo.images()[3].name
    app.switch_page(f"../../pages/{name}/page.py").run()
    finish(app)
    key, parts = PAGES[name]
    for part in parts:
        if any(element.key == key for element in app.get("button_group")):
            app.segmented_control(key=key).set_value(part).run()
            finish(app)
            assert not app.exception
            assert not app.error
            assert not app.warning, [w.value for w in app.warning]
