"""Rows and rollout of a batch against products of whole matrices in float64, image by image."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.capture import followed
from attnlib.capture.mixing import rollout_row

SIDE, DEPTH = 64, 3
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "cls": ("vit_tiny_patch16_224", {}),
    "one layer": ("vit_tiny_patch16_224", {"depth": 1}),
    "cls+dist": ("deit_tiny_distilled_patch16_224", {}),
    "average": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
    "pool": ("vit_base_patch16_siglip_224", {}),
    "relative positions": ("vit_relpos_small_patch16_224", {}),
}


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> attnlib.Vit:
    name, options = KINDS[request.param]
    torch.manual_seed(2)
    sizes = {"img_size": SIDE, "depth": DEPTH, "embed_dim": 48, "num_heads": 3, "num_classes": 5}
    module = timm.create_model(name, **{**sizes, **options}).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    return attnlib.load(module)


@pytest.fixture(scope="module")
def noise() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    return [Image.fromarray(one) for one in values]


@pytest.mark.parametrize("means", [True, False])
def test_a_batch_follows_its_readouts(
    model: attnlib.Vit, noise: list[Image.Image], means: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Also where queries and keys are kept, which large images with few channels need.
    monkeypatch.setattr(followed, "_mean_is_smaller", lambda call: means)
    batch = torch.cat([model.pixels(one) for one in noise])
    for record, image in zip(model.inspect_pixels(batch), noise, strict=True):
        trace = model.trace(model.pixels(image))
        readout = trace.readout().double().numpy()
        row = readout
        for layer, call in reversed(list(enumerate(trace.layers))):
            matrix = call.rows()[0].double().numpy()  # (H, T, T)
            np.testing.assert_allclose(record.rows[layer], readout @ matrix, atol=2e-6)
            row = row @ (np.eye(len(row)) + matrix.mean(0)) / 2
        assert record.rollout is not None
        np.testing.assert_allclose(record.rollout, row, atol=2e-6)
        np.testing.assert_allclose(record.rollout, rollout_row(trace).numpy(), atol=2e-6)
        assert record.self_check < 1e-4


def test_rows_are_the_same_without_rollout(model: attnlib.Vit, noise: list[Image.Image]) -> None:
    batch = torch.cat([model.pixels(one) for one in noise])
    plain, rolled = (model.inspect_pixels(batch, rollout=on) for on in (False, True))
    for one, other in zip(plain, rolled, strict=True):
        assert one.rollout is None
        np.testing.assert_allclose(one.rows, other.rows, atol=1e-6)


def test_the_mean_is_kept_where_it_is_smaller() -> None:
    def call(tokens: int, heads: int, dtype: torch.dtype) -> followed.AttentionCall:
        one = torch.empty(2, heads, tokens, 64, dtype=dtype)
        return followed.AttentionCall("", "", one, one, None, None)

    assert followed._mean_is_smaller(call(197, 3, torch.float32))
    assert followed._mean_is_smaller(call(384, 3, torch.float32))
    assert not followed._mean_is_smaller(call(385, 3, torch.float32))
    assert not followed._mean_is_smaller(call(197, 3, torch.bfloat16))
    assert followed._mean_is_smaller(call(197, 12, torch.bfloat16))


def test_no_tensor_of_a_pass_outlives_it(model: attnlib.Vit, noise: list[Image.Image]) -> None:
    batch = torch.cat([model.pixels(one) for one in noise])

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())

    model.inspect_pixels(batch)
    before = tensors()
    for _ in range(3):
        model.inspect_pixels(batch)
    assert tensors() == before
