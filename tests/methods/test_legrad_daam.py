"""LeGrad and DAAM against their equations with whole matrices, on a model run by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.capture.lens import lens
from attnlib.errors import AttnlibError, CaptureError

SIDE, GRID = (48, 80), (3, 5)


def picture() -> Image.Image:
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (*SIDE, 3), dtype=np.uint8))


def make(name: str = "vit_tiny_patch16_224", **options: Any) -> Any:
    torch.manual_seed(1)
    small = {"img_size": SIDE, "depth": 3, "embed_dim": 48, "num_heads": 3, "num_classes": 5}
    module = timm.create_model(name, **{**small, **options}).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    return module


class ByHand:
    """A pass of a plain model with whole attention matrices that stand in the graph."""

    def __init__(self, module: Any, pixels: Tensor) -> None:
        self.weights: list[Tensor] = []
        self.values: list[Tensor] = []
        self.products: list[Tensor] = []
        self.scores: list[Tensor] = []
        x = module.norm_pre(module._pos_embed(module.patch_embed(pixels.requires_grad_())))
        for block in module.blocks:
            attn = block.attn
            q, k, v = attn.qkv(block.norm1(x)).unflatten(-1, (3, attn.num_heads, -1)).unbind(2)
            weights = torch.softmax(attn.scale * torch.einsum("bihd,bjhd->bhij", q, k), -1)
            product = torch.einsum("bhij,bjhd->bihd", weights, v)
            self.weights.append(weights)
            self.values.append(v[0])
            self.products.append(product)
            x = x + block.ls1(attn.proj(product.flatten(2)))
            x = x + block.ls2(block.mlp(block.norm2(x)))
            self.scores.append(module.forward_head(module.norm(x))[0])


CASES = {
    "cls": {},
    "average": {"global_pool": "avg"},
    "registers": {"name": "vit_small_patch14_reg4_dinov2", "patch_size": 16, "init_values": 0.5},
}


@pytest.mark.parametrize("case", CASES)
def test_the_lens_is_the_models_ending_after_every_layer(case: str) -> None:
    module = make(**CASES[case])
    vit = attnlib.load(module, device="cpu")
    expected = torch.stack(ByHand(module, vit.pixels(picture())).scores)
    found = lens(vit, vit.pixels(picture()))
    torch.testing.assert_close(found.logits, expected)
    torch.testing.assert_close(found.logits[-1], module(vit.pixels(picture()))[0])
    assert not found.logits.requires_grad


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [0, 1])
def test_legrad_is_its_equation(case: str, start: int) -> None:
    module = make(**CASES[case])
    vit = attnlib.load(module, device="cpu")
    hand, target = ByHand(module, vit.pixels(picture())), 2
    total = torch.zeros(vit.layout.tokens, dtype=torch.float64)
    for score, weights in list(zip(hand.scores, hand.weights, strict=True))[start:]:
        (slope,) = torch.autograd.grad(score[target], weights, retain_graph=True)
        total += slope[0].clamp(min=0).mean(dim=(0, 1))
    heat = vit.attribute(picture(), "legrad", target, start_layer=start)
    expected = total[-15:].reshape(GRID)
    assert expected.max() > 0
    np.testing.assert_allclose(heat.values, expected.numpy(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [0, 2])
def test_daam_is_its_equations(case: str, start: int) -> None:
    module = make(**CASES[case])
    vit = attnlib.load(module, device="cpu")
    hand, target = ByHand(module, vit.pixels(picture())), 4
    prefix = len(vit.layout.prefix)
    read = slice(prefix, None) if case == "average" else slice(0, 1)
    total = torch.zeros(vit.layout.tokens, dtype=torch.float64)
    for weights, values, product in list(
        zip(hand.weights, hand.values, hand.products, strict=True)
    )[start:]:
        (slope,) = torch.autograd.grad(hand.scores[-1][target], product, retain_graph=True)
        raises = slope[0, read].clamp(min=0)  # (n, H, d)
        taken = torch.einsum("hqn,qhd,nhd->n", weights[0, :, read], raises, values)
        total += taken.clamp(min=0)
    heat = vit.attribute(picture(), "daam", target, start_layer=start)
    expected = total[-15:].reshape(GRID).detach()
    assert expected.max() > 0
    np.testing.assert_allclose(heat.values, expected.numpy(), rtol=1e-4, atol=1e-9)


def test_models_of_transformers_have_a_lens_too() -> None:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(hidden_size=24, num_hidden_layers=3, num_attention_heads=3, image_size=64)
    config.num_labels = 4
    module: Any = ViTForImageClassification(config).double().eval()
    vit = attnlib.load(module, device="cpu", img_size=64, preprocessing={"mean": 0.5, "std": 0.5})
    pixels = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        states = module(pixels, output_hidden_states=True).hidden_states
        final = module.vit.layernorm
        # Some versions give the last state after the normalisation.
        expected = torch.stack([module.classifier(final(s)[:, 0])[0] for s in states[1:-1]])
    found = lens(vit, pixels).logits
    torch.testing.assert_close(found[:-1], expected)
    torch.testing.assert_close(found[-1], module(pixels).logits[0])


def test_what_has_no_stream_is_refused() -> None:
    class Mixed(nn.Module):
        """A layer that weighs its tokens against their change instead of adding it."""

        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            x = torch.lerp(x, self.inner.attn(self.inner.norm1(x)), 0.5)
            return torch.lerp(x, self.inner.mlp(self.inner.norm2(x)), 0.5)

    module = make()
    module.blocks = nn.Sequential(*(Mixed(block) for block in module.blocks))
    vit = attnlib.load(module, device="cpu")
    with pytest.raises(CaptureError, match="no one stream"):
        vit.attribute(picture(), "legrad", 0)
    siglip = make("vit_base_patch16_siglip_224")
    with pytest.raises(CaptureError, match="pools its tokens by attention"):
        attnlib.load(siglip, device="cpu").attribute(picture(), "daam", 0)
    for method in ("legrad", "daam"):
        with pytest.raises(AttnlibError, match="start_layer must be from 0 to 2, not 3"):
            attnlib.load(make(), device="cpu").attribute(picture(), method, 0, start_layer=3)
