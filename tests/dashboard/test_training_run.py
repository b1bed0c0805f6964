"""The checkpoints of a training as lines: against forward passes by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit
import timm
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

import attnlib
from attnlib.audit import wilson
from attnlib.dashboard.state import training
from attnlib.data.image import decode
from attnlib.model import demo
from tests.dashboard.driving import click, finish, path, settle, text
from tests.dashboard.screen import charted

ARCHITECTURE = "vit_tiny_patch16_224"
EPOCHS = {"last.pth": 10, "a.pth": 2, "b.pth": 6}


def module(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    made = timm.create_model(ARCHITECTURE, img_size=(32, 48), num_classes=10, depth=2).eval()
    nn.init.normal_(made.head.weight, std=0.5)
    return made


def content(name: str, seed: int) -> bytes:
    out = io.BytesIO()
    args = {"model": ARCHITECTURE, "img_size": (32, 48), "model_kwargs": {"depth": 2}}
    classes = {name: index for index, name in enumerate(demo.CLASS_NAMES)}
    torch.save(
        {
            "state_dict": module(seed).state_dict(),
            "epoch": EPOCHS[name],
            "args": args,
            "class_to_idx": classes,
        },
        out,
    )
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(EPOCHS):
        (tmp_path / name).write_bytes(content(name, seed))
    return tmp_path


@pytest.fixture
def page(app: AppTest, setting: Callable[..., Any]) -> AppTest:
    setting(local_files=True)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    app.segmented_control(key="versus_view").set_value("A training run").run()
    return app


def answers(seed: int) -> tuple[list[bool], dict[str, list[bool]]]:
    """Whether each demo image is right, in order and by class; by the module alone."""
    made = module(seed)
    vit = attnlib.load(made, class_names=demo.CLASS_NAMES, device="cpu", img_size=(32, 48))
    right: list[bool] = []
    each: dict[str, list[bool]] = {}
    for image in demo.images():
        with torch.no_grad():
            logits = made(vit.pixels(decode(image.data)))[0]
        hit = demo.CLASS_NAMES[int(logits.argmax())] == image.label
        right.append(hit)
        each.setdefault(image.label, []).append(hit)
    return right, each


def test_lines_are_those_of_the_checkpoints_in_the_order_of_their_epochs(
    page: AppTest, folder: Path
) -> None:
    page.text_input(key="versus_folder").set_value(str(folder)).run()
    assert not page.get("vega_lite_chart"), "nothing is loaded before somebody asks"
    click(page, "Measure 3 checkpoints")
    accuracy, classes, entropy, diversity = (
        charted(chart) for chart in page.main.get("vega_lite_chart")
    )
    assert [row["epoch"] for row in accuracy] == [2, 6, 10]
    for row, seed in zip(accuracy, (1, 2, 0), strict=True):
        right, each = answers(seed)
        assert (row["right"], row["images"]) == (sum(right), 80)
        assert (row["low"], row["high"]) == pytest.approx(wilson(sum(right), 80))
        shown = {r["class"]: r["share"] for r in classes if r["epoch"] == row["epoch"]}
        assert shown
        for name, share in shown.items():
            assert share == pytest.approx(np.mean(each[name]))
    vit = attnlib.load("auto", checkpoint=folder / "b.pth", device="cpu")
    records = [vit.inspect(decode(image.data)) for image in demo.images()]
    expected = np.mean([record.entropy.mean(axis=1) for record in records], axis=0)
    found = {row["layer"]: row["value"] for row in entropy if row["epoch"] == 6}
    np.testing.assert_allclose([found[0], found[1]], expected, rtol=1e-4)
    assert {(row["epoch"], row["layer"]) for row in diversity} == {
        (epoch, layer) for epoch in (2, 6, 10) for layer in (0, 1)
    }


def test_one_more_checkpoint_is_measured_alone_and_a_broken_one_is_said(
    page: AppTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "last.pth").unlink()
    page.text_input(key="versus_folder").set_value(str(folder)).run()
    click(page, "Measure 2 checkpoints")
    loaded: list[str] = []
    once = training.models.once

    def noted(choice: Any, upload: bytes | None) -> Any:
        loaded.append(Path(choice.checkpoint).name)
        return once(choice, upload)

    monkeypatch.setattr(training.models, "once", noted)
    (folder / "c_epoch4.pth").write_bytes(b"damaged")
    page.run()
    click(page, "Measure 1 checkpoint")
    assert loaded == ["c_epoch4.pth"]
    assert any("c\\_epoch4.pth could not be used" in str(w.proto) or "damaged" in w.value
               or "readable" in w.value for w in page.main.warning)  # fmt: skip
    rows = charted(page.main.get("vega_lite_chart")[0])
    assert [row["epoch"] for row in rows] == [2, 6]


def test_an_epoch_is_what_the_visitor_says(
    page: AppTest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: dict[str, float] = {}
    drawn = streamlit.data_editor

    def edited(rows: list[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
        drawn(rows, **options)
        return [{**row, "epoch": wanted.get(row["file"], row["epoch"])} for row in rows]

    monkeypatch.setattr(streamlit, "data_editor", edited)
    page.text_input(key="versus_folder").set_value(str(folder)).run()
    click(page, "Measure 3 checkpoints")
    wanted["last.pth"] = 4
    finish(page.run())
    run = page.session_state["session"].training
    assert [one.name for one in run.ordered()] == ["a.pth", "last.pth", "b.pth"]
    rows = charted(page.main.get("vega_lite_chart")[0])
    assert [(row["epoch"], row["checkpoint"]) for row in rows] == [
        (2, "a.pth"),
        (4, "last.pth"),
        (6, "b.pth"),
    ]


def test_a_host_for_others_opens_no_folder(app: AppTest, setting: Callable[..., Any]) -> None:
    setting(local_files=False)
    settle(app.run())
    app.switch_page(path("model_comparison")).run()
    app.segmented_control(key="versus_view").set_value("A training run").run()
    assert "versus_folder" not in [box.key for box in app.text_input]
    assert "Add the checkpoints" in text(app)


def test_uploads_stay_as_curves_when_the_page_is_left(page: AppTest) -> None:
    uploader = next(u for u in page.file_uploader if u.label.startswith("Checkpoints"))
    kind = "application/octet-stream"
    uploader.set_value([(n, content(n, s), kind) for s, n in enumerate(EPOCHS)]).run()
    click(page, "Measure 3 checkpoints")
    before = charted(page.main.get("vega_lite_chart")[0])
    page.switch_page(path("prediction_debugging")).run()
    page.switch_page(path("model_comparison")).run()
    finish(page)
    assert charted(page.main.get("vega_lite_chart")[0]) == before
    assert all(one.source is None for one in page.session_state["session"].training.ordered())
