"""Models that were loaded are a list: one is in use, any other can stand beside it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

from attnlib.dashboard.attention.one import PICTURE
from attnlib.dashboard.parts.loaded import _code
from attnlib.dashboard.state import models
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session
from attnlib.dashboard.state.shelf import Shelf
from attnlib.data.image import decode
from attnlib.model import demo
from attnlib.pictures.colormaps import Scale
from attnlib.pictures.overlay import fit, overlay
from tests.dashboard.driving import finish, path, settle, text
from tests.dashboard.screen import Screen
from tests.dashboard.test_checkpoints import load, pth, shown

SIDE = 2 * PICTURE
ARCHITECTURE = "vit_tiny_patch16_224"


def trained(seed: int, size: tuple[int, int]) -> nn.Module:
    torch.manual_seed(seed)
    module = timm.create_model(ARCHITECTURE, img_size=size, num_classes=3, depth=2).eval()
    nn.init.normal_(module.head.weight, std=0.5)
    return module


def last_row(module: nn.Module, pixels: torch.Tensor) -> np.ndarray:
    """Where the CLS token looks in the last layer, mean over heads: seen by a hook, ``(N,)``."""
    module, found = copy.deepcopy(module).double(), []
    attention = module.blocks[-1].attn
    attention.fused_attn = False
    attention.attn_drop.register_forward_hook(lambda m, i, out: found.append(out[0]))
    with torch.no_grad():
        module(pixels.double())
    return found[0][:, 0, 1:].mean(0).float().numpy()


def upload(app: AppTest, name: str, module: nn.Module, size: str) -> AppTest:
    names = "cat\ndog\nfox"
    data = pth(module.state_dict())
    return load(
        app, name, data, architecture=ARCHITECTURE, img_size=size, class_names=names,
        model_args="depth=2",
    )  # fmt: skip


@pytest.fixture
def two(app: AppTest) -> tuple[AppTest, nn.Module, nn.Module]:
    """The app with two uploads of its visitor, the second in use."""
    first, second = trained(1, (64, 64)), trained(2, (48, 64))
    settle(app.run())
    upload(app, "a.pth", first, "64x64")
    upload(app, "b.pth", second, "48x64")
    assert not app.error
    return app, first, second


def listed(app: AppTest) -> list[str]:
    return list(app.selectbox(key="loaded_model").options)


def test_an_upload_stays_while_another_model_is_looked_at(
    two: tuple[AppTest, nn.Module, nn.Module], screen: Screen
) -> None:
    app, first, second = two
    assert listed(app) == [
        "Demo ViT (CIFAR-10)",
        f"a.pth ({ARCHITECTURE}) · 64 × 64",
        f"b.pth ({ARCHITECTURE}) · 48 × 64",
    ]
    shown(app, screen, second)
    box = app.selectbox(key="loaded_model")
    codes = _codes(app)
    box.set_value(codes[1]).run()
    settle(app)
    assert app.selectbox(key="source").value == "upload"
    shown(app, screen, first)
    app.selectbox(key="loaded_model").set_value("demo").run()
    settle(app)
    assert app.selectbox(key="source").value == "demo"
    assert app.session_state["workspace"].vit.name == "demo"
    assert "source" not in app.query_params
    app.selectbox(key="loaded_model").set_value(codes[2]).run()
    settle(app)
    shown(app, screen, second)


def _codes(app: AppTest) -> list[str]:
    return [_code(kept) for kept in app.session_state["session"].models]


def test_two_uploads_stand_side_by_side(
    two: tuple[AppTest, nn.Module, nn.Module], screen: Screen
) -> None:
    """Both maps are those of forward passes by hand, on one scale of multiples of uniform."""
    app, first, second = two
    image = demo.images()[5]
    app.switch_page(path("cls_attention")).run()
    app.session_state["image"] = image.name
    app.run()
    app.segmented_control(key="attention_view").set_value("Compare").run()
    app.segmented_control(key="attention_compare").set_value("Another model").run()
    app.selectbox(key="attention_other_model").set_value(_codes(app)[1]).run()
    finish(app)
    assert not app.main.warning
    picture = decode(image.data)
    sides = []
    for module, code in ((second, 2), (first, 1)):
        kept = list(app.session_state["session"].models)[code]
        vit = models.get(kept.choice, kept.upload)
        row = last_row(module, vit.pixels(picture))
        sides.append((vit.crop(picture), row.reshape(vit.layout.grid)))
    together = np.concatenate([values.ravel() * values.size for _, values in sides])
    top = Scale.times_uniform(together, 1).high
    maps = [picture for _, picture in screen.pictures(app) if max(picture.shape) == SIDE][1::2]
    for found, (crop, values) in zip(maps, sides, strict=True):
        scale = Scale.times_uniform(values, values.size, high=top)
        drawn = overlay(crop, values, scale, size=fit(crop.size, SIDE)).convert("RGB")
        assert np.abs(found.astype(int) - np.asarray(drawn)).max() <= 2
    titles = " ".join(element.value for element in app.main.text)
    assert "a.pth" in titles and "b.pth" in titles


def test_uploads_are_bounded_and_what_goes_is_said() -> None:
    shelf = Shelf(most=3, most_bytes=100)
    shelf.keep(ModelChoice(), None)
    for name, size in (("a", 60), ("b", 30)):
        shelf.keep(ModelChoice("auto", digest=name, file=f"{name}.pth"), bytes(size))
    assert (len(shelf), shelf.dropped) == (3, "")
    shelf.keep(ModelChoice("auto", digest="a", file="a.pth"), bytes(60))
    shelf.keep(ModelChoice("auto", digest="c", file="c.pth"), bytes(30))
    assert [kept.choice.file for kept in shelf] == ["", "a.pth", "c.pth"], "b was used least"
    assert shelf.dropped == "b.pth"
    shelf.keep(ModelChoice("auto", digest="d", file="d.pth"), bytes(500))
    assert [kept.choice.file for kept in shelf] == ["", "d.pth"], "the one in use always stays"
    assert shelf.dropped == "c.pth"


def test_a_model_is_one_entry_whatever_it_runs_on() -> None:
    shelf = Shelf()
    shelf.keep(ModelChoice(), None)
    shelf.keep(ModelChoice(device="cpu", preprocessing=(("mean", (0.5,) * 3),)), None)
    (kept,) = shelf
    assert kept.choice.preprocessing
    for digest in ("1" * 64, "2" * 64):
        shelf.keep(ModelChoice("auto", digest=digest, file="best.pth"), b"")
    assert [shelf.title(one) for one in shelf][1:] == ["best.pth · 111111", "best.pth · 222222"]


def test_an_upload_belongs_to_its_visitor(two: tuple[AppTest, nn.Module, nn.Module]) -> None:
    assert [kept.choice for kept in Session(()).models] == []


def test_random_weights_are_marked_and_the_same_at_each_time(app: AppTest) -> None:
    name = "vit_tiny_patch16_224"
    app.query_params.update({"source": "random", "random_model": name, "pre_size": "48x64"})
    settle(app.run())
    assert not app.error
    space = app.session_state["workspace"]
    assert space.choice == ModelChoice(name, random=True, img_size=(48, 64))
    assert "random weights" in text(app)
    assert "nothing was learned" in app.main.warning[0].value
    assert space.vit.layout.grid == (3, 4)
    before = space.vit.module.state_dict()
    torch.manual_seed(12)
    after = models._loaded(space.choice, None).built.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.initial_seed() == 12, "nobody else's random numbers are touched"
    app.selectbox(key="source").set_value("demo").run()
    settle(app)
    assert not app.main.warning
    box = app.selectbox(key="loaded_model")
    assert list(box.options) == [f"{name} (random weights) · 48 × 64", "Demo ViT (CIFAR-10)"]
    box.set_value(_codes(app)[0]).run()
    assert app.query_params["random_model"] == name
    assert app.session_state["workspace"].choice == ModelChoice(
        name, random=True, img_size=(48, 64)
    )


def test_a_file_that_is_gone_is_said_and_leaves_the_list(
    app: AppTest, tmp_path: Path, setting: Callable[..., Any]
) -> None:
    setting(local_files=True)
    file = tmp_path / "run.pth"
    file.write_bytes(pth(trained(1, (64, 64)).state_dict()))
    settle(app.run())
    app.selectbox(key="source").set_value("file").run()
    app.text_input(key="checkpoint_path").set_value(str(file))
    for key, value in (
        ("architecture", ARCHITECTURE),
        ("img_size", "64"),
        ("model_args", "depth=2"),
    ):
        app.text_input(key=key).set_value(value)
    next(b for b in app.button if b.label == "Load").click().run()
    settle(app)
    assert not app.error
    app.selectbox(key="loaded_model").set_value("demo").run()
    settle(app)
    file.unlink()
    models.COPIES.clear()
    app.selectbox(key="loaded_model").set_value(_codes(app)[1]).run()
    settle(app)
    assert app.session_state["workspace"].vit.name == "demo"
    assert [kept.choice for kept in app.session_state["session"].models][1:] == []
