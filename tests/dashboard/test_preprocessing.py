"""How images are prepared: in sight, changed at once, and checked on images with labels."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from torchvision import transforms

import attnlib
from attnlib.dashboard.mistakes import preprocessing as page
from attnlib.dashboard.state import models
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.image import decode
from attnlib.evaluation.preprocessing import check
from attnlib.model import demo
from tests.dashboard.driving import click, finish, png, settle, text, upload

NAME = demo.images()[0].name


def space(app: AppTest) -> Workspace:
    found: Workspace = app.session_state["workspace"]
    return found


def pixels(app: AppTest, name: str) -> torch.Tensor:
    at = space(app)
    return at.vit.pixels(decode(at.by_name[name].data, at.choice.decoding))[0]


def test_every_setting_is_shown_with_what_says_so(app: AppTest) -> None:
    settle(app.run())
    words = text(app).replace("\\", "")
    for line in ("size: **32 × 32 pixels** · the model", "interpolation: **bicubic** · the demo's"):
        assert line in words


def test_a_change_is_seen_at_once_and_shares_the_weights(app: AppTest) -> None:
    settle(app.run())
    before = space(app)
    app.text_input(key="pre_mean").set_value("0.5").run()
    app.text_input(key="pre_std").set_value("0.25 0.25 0.5").run()
    app.segmented_control(key="pre_channels").set_value("BGR").run()
    finish(app)
    after = space(app)
    assert after.vit.module is before.vit.module
    own = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.5))]
    )
    picture = decode(after.by_name[NAME].data)
    swapped = Image.fromarray(np.ascontiguousarray(np.asarray(picture)[..., ::-1]))
    assert torch.allclose(pixels(app, NAME).cpu(), own(swapped), atol=1e-6)
    # What the page holds is of the changed input, and its crop is in true colours again.
    logits = after.vit.module(own(swapped)[None].to(after.vit.device)).detach().cpu()
    found = after.inspected(NAME)
    assert np.allclose(found.record.logits, logits[0].numpy(), atol=1e-4)
    assert np.array_equal(found.crop, np.asarray(picture))
    assert not np.allclose(found.record.logits, before.inspected(NAME).record.logits, atol=1e-2)
    assert "mean: **0.5** · said by you" in text(app)
    link = app.query_params
    assert (link["pre_mean"], link["pre_channels"]) == ("0.5", "BGR")


def test_a_link_carries_the_settings(app: AppTest) -> None:
    app.query_params.update({"pre_mean": "0.25", "pre_crop_pct": "0.5", "decoding": "as loaded"})
    settle(app.run())
    at = space(app)
    assert (at.vit.mean, at.vit.preparation.crop_pct) == ((0.25,) * 3, 0.5)
    assert at.choice.decoding == "as loaded"
    assert at.vit.std == attnlib.load("demo").std
    click(app, "Back to the model's own")
    at = space(app)
    assert at.choice == at.choice.plain
    assert not set(app.query_params) & {"pre_mean", "pre_crop_pct", "decoding"}


@pytest.mark.parametrize("junk", ["a b", "", "1,2", "nan", "-1"])
def test_junk_is_answered_in_a_sentence(app: AppTest, junk: str) -> None:
    settle(app.run())
    app.text_input(key="pre_std").set_value(junk).run()
    finish(app)
    assert space(app).choice.preprocessing == ()
    assert space(app).vit.std == attnlib.load("demo").std
    said = [w.value for w in app.warning] + [t.value for t in app.get("toast")]
    assert any("std" in words.casefold() or "deviation" in words for words in said)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.open(io.BytesIO(png(3))).crop((0, 0, 48, 32)).save(out, "PNG", exif=exif.tobytes())
    return out.getvalue()


def test_turned_images_are_marked_and_can_be_taken_as_torchvision_does(app: AppTest) -> None:
    settle(app.run())
    data = turned()
    upload(app, ("turned.png", data, "image/png"), ("plain.png", png(1), "image/png"))
    assert "Of 2 images: 1 turned upright." in text(app)
    upright = pixels(app, "turned.png")
    app.selectbox(key="decoding").set_value("as loaded").run()
    finish(app)
    assert "1 not turned upright" in text(app)
    at = space(app)
    theirs = at.vit.transform(Image.open(io.BytesIO(data)).convert("RGB"))
    assert torch.equal(pixels(app, "turned.png").cpu(), theirs)
    assert not torch.equal(theirs, upright.cpu())
    record = at.inspected("turned.png").record
    logits = at.vit.module(theirs[None].to(at.vit.device))[0].detach().cpu()
    assert np.allclose(record.logits, logits.numpy(), atol=1e-4)


def test_the_check_agrees_with_the_library_and_its_best_is_taken(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MOST", 40)
    app.query_params.update({"pre_mean": "0", "pre_std": "0.0039215686"})
    app.query_params["gallery_panel"] = "Preprocessing check"
    settle(app.run())
    click(app, "Check the preprocessing")
    at = space(app)
    chosen = sorted(np.random.default_rng(0).permutation(80)[:40].tolist())
    names = [at.predictions[i].name for i in chosen]
    labels = [at.labels.labels[name] for name in names]
    pictures = [decode(at.by_name[name].data) for name in names]
    wrong = attnlib.load("demo").prepared({"mean": 0.0, "std": 0.0039215686})
    own = attnlib.load("demo").preparation
    found = check(wrong, [lambda p=p: p for p in pictures], labels, own=own)
    frame = next(f.value for f in app.dataframe if "mean confidence" in f.value)
    assert list(frame["prepared"]) == [tried.title for tried in found.tried]
    assert np.allclose(frame["accuracy"], [tried.accuracy for tried in found.tried])
    assert found.best is not None
    assert any(found.best.title in w.value.replace("\\", "") for w in app.warning)
    right = [p for p in at.predictions if p.name in names and p.outcome == "right"]
    assert int(frame["right"][0]) == len(right)
    click(app, f"Prepare images so: {found.best.title}")
    taken_over = wrong.prepared(dict(found.best.changes)).preparation
    assert (space(app).vit.mean, space(app).vit.std) == (taken_over.mean, taken_over.std)
    assert space(app).vit.preparation.crop_pct == taken_over.crop_pct
    taken = {p.name: p for p in space(app).predictions}
    assert sum(taken[name].outcome == "right" for name in names) == int(found.best.right.sum())


def test_another_input_size_builds_the_model_for_it(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(name: str, pretrained: bool, options: dict[str, Any]) -> torch.nn.Module:
        torch.manual_seed(0)
        made: torch.nn.Module = timm.create_model(name, depth=1, **options)
        return made

    monkeypatch.setattr("attnlib.model.build._create", weights)
    monkeypatch.setattr(models, "timm_names", lambda: ["vit_tiny_patch16_224"])
    settle(app.run())
    app.selectbox(key="source").set_value("timm").run()
    app.selectbox(key="model").set_value("vit_tiny_patch16_224").run()
    finish(app)
    assert space(app).vit.size == (224, 224)
    app.text_input(key="pre_size").set_value("64x96").run()
    finish(app)
    assert space(app).vit.size == (64, 96)
    assert app.query_params["pre_size"] == "64x96"
    assert "size: **64 × 96 pixels" in text(app)
