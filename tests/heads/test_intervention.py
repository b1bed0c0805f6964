"""Tokens that cannot look at others, against scores that are masked before the softmax."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.intervention import without_attention


def build() -> attnlib.Vit:
    torch.manual_seed(1)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=(32, 64), depth=3, num_classes=4
    ).double()
    for block in module.blocks:
        block.attn.qkv.weight.data *= 8
    torch.nn.init.normal_(module.head.weight)
    return attnlib.load(module.eval(), device="cpu")


def masked(module: nn.Module, cut: Tensor, layers: list[int]) -> nn.Module:
    """A copy whose attention masks its scores: an independent way."""
    copied = copy.deepcopy(module)

    def forward_of(attn: nn.Module) -> Callable[..., Tensor]:
        def forward(x: Tensor, **ignored: object) -> Tensor:
            b, n, c = x.shape
            q, k, v = attn.qkv(x).view(b, n, 3, 3, 64).permute(2, 0, 3, 1, 4)
            scores = (q @ k.mT / 8).masked_fill(cut, -torch.inf)
            mixed = torch.softmax(scores, dim=-1) @ v
            return attn.proj(mixed.transpose(1, 2).reshape(b, n, c))

        return forward

    for layer in layers:
        copied.blocks[layer].attn.forward = forward_of(copied.blocks[layer].attn)
    return copied


@pytest.mark.parametrize("layers", [[0], [1, 2], None])
def test_it_is_a_mask_before_the_softmax(layers: list[int] | None) -> None:
    vit = build()
    rng = np.random.default_rng(0)
    queries, keys = rng.random(9) < 0.6, rng.random(9) < 0.5
    pixels = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    cut = torch.from_numpy(queries[:, None] & keys)
    found = without_attention(vit, pixels, queries, keys, layers)
    with torch.no_grad():
        every = [0, 1, 2] if layers is None else layers
        expected = masked(vit.module, cut, every)(pixels)
        plain = vit.module(pixels)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert (found - plain).abs().max() > 1e-3
    nothing = without_attention(vit, pixels, queries, np.zeros(9, dtype=bool), layers)
    torch.testing.assert_close(nothing, plain, atol=1e-6, rtol=0)


def test_a_row_of_which_nothing_is_left_stays() -> None:
    vit = build()
    pixels = torch.randn(1, 3, 32, 64, dtype=torch.float64)
    every = np.ones(9, dtype=bool)
    with torch.no_grad():
        plain = vit.module(pixels)
    found = without_attention(vit, pixels, every, every)
    torch.testing.assert_close(found, plain, atol=1e-6, rtol=0)


def test_what_is_not_there_is_refused() -> None:
    vit = build()
    pixels = torch.zeros(1, 3, 32, 64, dtype=torch.float64)
    every = np.ones(9, dtype=bool)
    with pytest.raises(AttnlibError, match="no layer 3"):
        without_attention(vit, pixels, every, every, [0, 3])
    with pytest.raises(AttnlibError, match=r"shape \(9,\)"):
        without_attention(vit, pixels, every[:8], every)
    module = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    swin = attnlib.load(module.eval(), device="cpu")
    with pytest.raises(CaptureError, match="between all tokens"):
        without_attention(swin, torch.zeros(1, 3, 56, 56), every, every)
