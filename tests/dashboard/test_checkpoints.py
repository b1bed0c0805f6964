"""Weights of one's own through the sidebar: what is loaded, and what is said of it."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save
from streamlit.testing.v1 import AppTest
from torch import nn

from attnlib.data.image import decode
from attnlib.model import demo
from tests.dashboard.driving import settle, text
from tests.dashboard.screen import Screen, as_read

ARCHITECTURE = "vit_tiny_patch16_224"
NAMES = ["cat", "dog", "fox"]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(3)
    module = timm.create_model(ARCHITECTURE, img_size=64, num_classes=3).eval()
    nn.init.normal_(module.head.weight, std=0.5)
    return module


def pth(content: Any) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def load(app: AppTest, name: str, data: bytes, **said: str) -> AppTest:
    """Upload weights and press “Load”."""
    app.selectbox(key="source").set_value("upload").run()
    next(u for u in app.file_uploader if u.label == "Weights").set_value(
        (name, data, "application/octet-stream")
    )
    for key, value in said.items():
        (app.text_area if key == "class_names" else app.text_input)(key=key).set_value(value)
    next(b for b in app.button if b.label == "Load").click().run()
    return settle(app)


def shown(app: AppTest, screen: Screen, module: nn.Module) -> None:
    """The table holds what the trained model says of the demo's images."""
    vit = app.session_state["workspace"].vit
    for image in demo.images()[:3]:
        picture = decode(image.data)
        with torch.no_grad():
            expected = module(vit.pixels(picture))[0].softmax(0).numpy()
        found = app.session_state["workspace"].prediction_of[image.name].probabilities
        np.testing.assert_allclose(found, expected, atol=1e-5)


CONTENTS = ["lightning", "ema", "safetensors"]


@pytest.mark.parametrize("kind", CONTENTS)
def test_an_upload_is_the_model_that_was_trained(
    kind: str, app: AppTest, screen: Screen, trained: nn.Module
) -> None:
    state = trained.state_dict()
    args = argparse.Namespace(model=ARCHITECTURE, img_size=64, lr=1e-3, opt="adamw")
    wrong = {name: torch.zeros_like(t) for name, t in state.items()}
    name, data = {
        "lightning": (
            "last.ckpt",
            lambda: pth(
                {
                    "state_dict": {
                        **{f"model.{n}": t for n, t in state.items()},
                        "criterion.weight": torch.ones(3),
                    },
                    "hyper_parameters": {"model_name": ARCHITECTURE, "num_classes": 3},
                }
            ),
        ),
        "ema": ("best.pt", lambda: pth({"model": wrong, "model_ema": state, "args": args})),
        "safetensors": ("m.safetensors", lambda: save(state)),
    }[kind]
    settle(app.run())
    app = load(
        app, name, data(), architecture=ARCHITECTURE, img_size="64", class_names="\n".join(NAMES)
    )
    assert not app.exception and not app.error
    space = app.session_state["workspace"]
    assert space.vit.class_names == tuple(NAMES)
    shown(app, screen, trained)
    words = text(app)
    assert "Names of 3 classes: given by you" in words
    if kind == "lightning":
        assert "criterion.weight" in words
    if kind == "ema":
        assert "model\\_ema" in words or "model_ema" in words


def test_without_an_architecture_the_arguments_say_it(
    app: AppTest, screen: Screen, trained: nn.Module
) -> None:
    args = argparse.Namespace(model=ARCHITECTURE, img_size=64)
    content = {
        "state_dict": trained.state_dict(),
        "args": args,
        "class_to_idx": {name: i for i, name in enumerate(NAMES)},
    }
    settle(app.run())
    app = load(app, "best.pth.tar.pth", pth(content))
    assert not app.exception and not app.error
    assert app.session_state["workspace"].vit.class_names == tuple(NAMES)
    shown(app, screen, trained)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not a checkpoint", ""),
        (b"", "empty"),
        (pth({"epoch": 3}), "weights"),
        (pth(nn.Linear(2, 2)), "state_dict"),
    ],
)
def test_what_cannot_be_loaded_is_said_and_nothing_is_lost(
    data: bytes, words: str, app: AppTest
) -> None:
    settle(app.run())
    app = load(app, "w.pth", data, architecture=ARCHITECTURE)
    assert not app.exception
    assert app.session_state["workspace"].vit.name == "demo"
    assert any(words in as_read(str(error.value)) for error in app.error)


def test_an_architecture_is_a_name_never_a_place(app: AppTest, trained: nn.Module) -> None:
    settle(app.run())
    app = load(app, "w.pth", pth(trained.state_dict()), architecture="local-dir:/etc")
    assert any("timm has no architecture" in str(error.value) for error in app.error)


def test_a_folder_on_this_machine(app: AppTest, tmp_path: Path, screen: Screen) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=64, patch_size=16, id2label={0: "cat", 1: "dog", 2: "fox"},
    )  # fmt: skip
    module = transformers.ViTForImageClassification(config).eval()
    module.save_pretrained(tmp_path)
    transformers.ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    settle(app.run())
    app.selectbox(key="source").set_value("file").run()
    app.text_input(key="checkpoint_path").set_value(str(tmp_path))
    next(b for b in app.button if b.label == "Load").click().run()
    settle(app)
    assert not app.exception and not app.error
    vit = app.session_state["workspace"].vit
    assert vit.class_names == tuple(NAMES)
    picture = decode(demo.images()[0].data)
    with torch.no_grad():
        expected = module(vit.pixels(picture)).logits[0].softmax(0).numpy()
    found = app.session_state["workspace"].prediction_of[demo.images()[0].name].probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "id2label" in text(app)
