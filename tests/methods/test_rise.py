"""RISE against the paper's own few lines with the same masks, and against what must come out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.errors import OutOfMemory
from attnlib.methods import Subject
from attnlib.methods import rise as module
from attnlib.methods.rise import draw

SIZE, GRID = (48, 80), (3, 5)


def picture() -> Image.Image:
    rng = np.random.default_rng(2)
    return Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def vit() -> attnlib.Vit:
    torch.manual_seed(0)
    made = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, depth=2, num_classes=5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return attnlib.load(made.eval(), device="cpu")


def test_is_the_papers_with_the_same_masks(
    vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S = 1 / (N E[m]) Σ p_k m_k, with each patch's own mean of the masks for E[m]."""
    kept: list[Tensor] = []

    def keeping(*args: Any) -> Tensor:
        kept.append(draw(*args))
        return kept[-1]

    monkeypatch.setattr(module, "draw", keeping)
    heat = vit.attribute(picture(), "rise", 3, count=40, replacement="mean")
    masks = torch.cat(kept)
    assert len(masks) == 40
    pixels = vit.pixels(picture())
    shown = pixels * masks[:, None] + pixels.mean((2, 3), keepdim=True) * (1 - masks[:, None])
    with torch.no_grad():
        shares = vit.module(shown).softmax(-1)[:, 3].numpy().astype(np.float64)
    left = masks.numpy().astype(np.float64).reshape(40, 3, 16, 5, 16).mean((2, 4))
    expected = np.tensordot(shares, left, 1) / 40 / left.mean(0)
    np.testing.assert_allclose(heat.values, expected, rtol=1e-5)


class Patch(nn.Module):
    """The logit of class 1 is the mean of one patch; that of class 0 the same everywhere."""

    def __init__(self, row: int, col: int) -> None:
        super().__init__()
        self.where = (slice(16 * row, 16 * row + 16), slice(16 * col, 16 * col + 16))
        self.body = timm.create_model("vit_tiny_patch16_224", img_size=SIZE, depth=1, num_classes=2)
        self.pretrained_cfg = self.body.pretrained_cfg

    def forward(self, x: Tensor) -> Tensor:
        seen = x[(..., *self.where)].mean((1, 2, 3))
        return torch.stack([torch.zeros_like(seen), 4 * seen], 1) + 0 * self.body(x)


def test_points_at_the_only_patch_that_counts() -> None:
    torch.manual_seed(0)
    vit = attnlib.load(Patch(1, 3).eval(), device="cpu", img_size=SIZE)
    pixels = torch.ones(1, 3, *SIZE)
    subject = Subject(vit, pixels)
    values = vit.explain(subject, "rise", 1, count=400, replacement="zero").values
    assert np.unravel_index(values.argmax(), GRID) == (1, 3)
    # Each mean is one of probabilities; where the patch is left the class is sure.
    assert 0.5 < values.min() < values.max() < 1 / (1 + np.exp(-4.0))


def test_masks_are_smooth_and_as_open_as_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = draw(2000, SIZE, 0.3, generator)
    assert masks.shape == (2000, *SIZE)
    assert masks.min() >= 0 and masks.max() <= 1
    # Each place is left by its binomial share, and none more than another.
    assert (masks.mean(0) - 0.3).abs().max() < 5 * (0.21 / 2000) ** 0.5
    # From one pixel to the next by less than a cell's share of it.
    assert masks.diff(dim=1).abs().max() < 0.3 and masks.diff(dim=2).abs().max() < 0.3
    whole = draw(3, SIZE, 1.0, generator)
    assert torch.equal(whole, torch.ones_like(whole))


def test_a_picture_that_nothing_hides_has_one_probability(vit: attnlib.Vit) -> None:
    flat = Image.new("RGB", SIZE[::-1], (90, 120, 150))
    values = vit.attribute(flat, "rise", 2, count=30, replacement="mean").values
    alone = vit.inspect(flat).probabilities[2]
    np.testing.assert_allclose(values, alone, rtol=1e-4)


def test_memory_that_does_not_suffice_is_no_other_map(
    vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = vit.attribute(picture(), "rise", 1, count=64).values
    forward = module.passes.forward

    def narrow(made: nn.Module, pixels: Tensor, *args: Any, **options: Any) -> Any:
        if len(pixels) > 5:
            raise OutOfMemory("no more")
        return forward(made, pixels, *args, **options)

    fake = SimpleNamespace(forward=narrow, admitted=module.passes.admitted)
    monkeypatch.setattr(module, "passes", fake)
    found = vit.attribute(picture(), "rise", 1, count=64).values
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_centre_prior_is_a_gaussian_of_a_quarter_of_each_side(vit: attnlib.Vit) -> None:
    values = vit.attribute(picture(), "centre").values
    y, x = (np.arange(3) + 0.5) / 3 - 0.5, (np.arange(5) + 0.5) / 5 - 0.5
    expected = np.exp(-8 * (y[:, None] ** 2 + x**2))
    np.testing.assert_allclose(values, expected / expected.sum(), rtol=1e-6)
