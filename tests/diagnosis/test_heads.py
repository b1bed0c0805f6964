"""Heads that were made ill are found, all of them and no other, also on one image."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.diagnosis import diagnose
from benchmarks.planted.weights import changed, ill, parts
from tests.diagnosis.planted import demo_images, demo_labels

SEVERAL, ONE = demo_images(4), dict(list(demo_images().items())[7:8])


def found(vit: attnlib.Vit, images: dict[str, Image.Image]) -> list[tuple[object, ...]]:
    report = diagnose(vit, images, kinds=["heads"])
    return [(one.layer, one.heads, one.detail["state"]) for one in report.findings]


@pytest.mark.parametrize("images", [SEVERAL, ONE], ids=["several", "one image"])
@pytest.mark.parametrize("heads", [[0, 1, 2, 3], [1, 3]], ids=["all", "two"])
@pytest.mark.parametrize("layer", [0, 4])
@pytest.mark.parametrize(
    "state", ["alike", "one-hot", "uniform", "no queries", "sink", "sink at a patch"]
)
def test_each_state_is_found_where_it_was_made(
    vit: attnlib.Vit, state: str, layer: int, heads: list[int], images: dict[str, Image.Image]
) -> None:
    name = {"no queries": "uniform", "sink at a patch": "sink"}.get(state, state)
    assert found(ill(vit, state, layer, heads), images) == [(layer, tuple(heads), name)]


def test_a_healthy_model_is_silent(vit: attnlib.Vit) -> None:
    assert found(vit, demo_images()) == []
    for name, image in demo_images(12).items():
        assert found(vit, {name: image}) == []


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (120, 130, 200), (200, 30, 30)])
def test_a_blank_image_is_no_illness_of_the_model(
    vit: attnlib.Vit, colour: tuple[int, int, int]
) -> None:
    """Before some of these a head gives 98 % to one token, and two heads correlate with 0.98."""
    assert found(vit, {"blank": Image.new("RGB", (32, 32), colour)}) == []


def test_untrained_weights_are_said_to_be_uniform() -> None:
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3)
    vit = attnlib.load(module.eval(), device="cpu")
    report = diagnose(vit, SEVERAL, kinds=["heads"])
    assert [(one.layer, one.heads) for one in report.findings] == [(0, (0, 1, 2)), (1, (0, 1, 2))]
    assert all(one.detail["state"] == "uniform" for one in report.findings)
    assert "trained weights were loaded" in report.findings[0].next_steps


def test_the_removal_says_what_the_heads_still_do(vit: attnlib.Vit) -> None:
    """Against a copy whose projection has zero columns for them."""
    sick = ill(vit, "one-hot", 5, [1, 2])
    (one,) = diagnose(sick, SEVERAL, kinds=["heads"]).findings

    def cripple(module: torch.nn.Module) -> None:
        module.blocks[5].attn.proj.weight[:, 32:96] = 0

    without = changed(sick, cripple)
    moved = [
        name
        for name, image in SEVERAL.items()
        if without.inspect(image).predicted != sick.inspect(image).predicted
    ]
    (against,) = one.evidence_against
    assert list(against.images) == moved
    assert f"Without these heads {4 - len(moved)} of 4 predictions stay" in against.sentence


def test_a_finding_says_what_it_is(vit: attnlib.Vit) -> None:
    report = diagnose(ill(vit, "uniform", 2, [3]), SEVERAL, demo_labels_of(SEVERAL))
    (one,) = [finding for finding in report.findings if finding.kind == "heads"]
    assert one.scope == "model"
    assert one.sentence.startswith("Head 3 of layer 2 (counted from 0) looks everywhere alike")
    assert one.value == pytest.approx(1.0, abs=1e-6)
    assert one.threshold <= one.value
    assert one.certainty.interval is not None
    assert one.certainty.tried == 96


def demo_labels_of(images: dict[str, Image.Image]) -> dict[str, int | str]:
    return {name: demo_labels()[name] for name in images}


def test_windows_are_left_out_with_the_reason() -> None:
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    swin = attnlib.load(module.eval(), device="cpu")
    report = diagnose(swin, {"a": Image.new("RGB", (56, 56))}, kinds=["heads", "outlier-tokens"])
    assert report.findings == ()
    assert set(report.left_out) == {"heads", "outlier-tokens"}
    assert "between all tokens" in report.left_out["heads"]


def test_progress_ends_it(vit: attnlib.Vit) -> None:
    class Ended(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Ended

    with pytest.raises(Ended):
        diagnose(vit, SEVERAL, progress=stop, kinds=["heads"])


def test_the_parts_of_the_demo_are_its_heads(vit: attnlib.Vit) -> None:
    """What the planting above builds on."""
    weight, _ = parts(vit.module, 1)
    np.testing.assert_array_equal(
        weight[1, 2].detach().numpy(), vit.module.blocks[1].attn.qkv.weight[192:224].detach()
    )
