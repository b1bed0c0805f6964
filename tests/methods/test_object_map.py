"""The object map against its formula by hand, and on objects whose masks are known."""

from __future__ import annotations

import io

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.errors import CaptureError
from attnlib.evaluation.localisation import localise
from attnlib.methods import METHODS
from attnlib.model import objects

SIDE, GRID = (48, 80), (3, 5)


def picture() -> Image.Image:
    rng = np.random.default_rng(5)
    return Image.fromarray(rng.integers(0, 256, (*SIDE, 3), dtype=np.uint8))


@pytest.mark.parametrize("pooled", ["token", "avg"])
def test_is_the_formula(pooled: str) -> None:
    """In float64, with NumPy, on what a hook sees of the last layer."""
    torch.manual_seed(3)
    module = timm.create_model(
        "vit_tiny_patch16_224", img_size=SIDE, depth=3, num_classes=5, global_pool=pooled
    )
    module = module.double().eval()
    vit = attnlib.load(module, device="cpu")
    last, seen = module.blocks[-1], dict[str, np.ndarray]()
    handle = last.attn.qkv.register_forward_hook(
        lambda _, given, out: seen.update(x=given[0][0].numpy(), qkv=out[0].numpy())
    )
    with torch.no_grad():
        module(vit.pixels(picture()))
    handle.remove()
    heads = last.attn.num_heads
    query, key, _ = seen["qkv"].reshape(len(seen["x"]), 3, heads, -1).transpose(1, 2, 0, 3)
    scores = np.exp(query @ key.transpose(0, 2, 1) * last.attn.scale)
    attention = (scores / scores.sum(axis=2, keepdims=True)).mean(axis=0)
    row = attention[1:].mean(axis=0) if pooled == "avg" else attention[0]
    x = seen["x"][1:] - seen["x"][1:].mean(axis=0)

    def like(prototype: np.ndarray) -> np.ndarray:
        return x @ prototype / np.linalg.norm(x, axis=1) / np.linalg.norm(prototype)

    first = np.maximum(like((row[1:, None] * x).sum(axis=0)), 0)
    expected = np.maximum(like((first[:, None] * x).sum(axis=0)), 0)
    assert 0.2 < (expected > 0).mean() < 0.9
    heat = vit.attribute(picture(), "object_map")
    np.testing.assert_allclose(heat.values.ravel(), expected, rtol=1e-5, atol=1e-7)
    assert heat.target is None and not heat.share and not heat.signed


def test_two_kinds_of_patches_are_told_apart_without_rest() -> None:
    """Tokens of two kinds that stay apart: likeness is 1 on those attended, 0 on the others."""

    class Two(nn.Module):
        """A bright patch is one token, a dark one another; attention goes to the bright."""

        def __init__(self) -> None:
            super().__init__()
            self.patch_embed = timm.layers.PatchEmbed(48, 16, 3, 2)
            self.norm, self.head = nn.LayerNorm(2), nn.Linear(2, 2)
            nn.init.constant_(self.patch_embed.proj.weight[:1].data, 1.0)
            nn.init.constant_(self.patch_embed.proj.weight[1:].data, -1.0)

        def forward(self, pixels: Tensor) -> Tensor:
            x = self.norm(self.patch_embed(pixels))[:, None]
            x = nn.functional.scaled_dot_product_attention(x[..., :1] * 0 + 1, x[..., :1], x)
            return self.head(x[:, 0].mean(dim=1))

    values = np.full((48, 48, 3), 20, np.uint8)
    values[:16, 16:32] = values[32:, :16] = 250
    vit = attnlib.load(Two().eval(), img_size=48, preprocessing={"mean": 0.5, "std": 0.5})
    found = vit.attribute(Image.fromarray(values), "object_map").values
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[2, 0] = 1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_points_at_objects_better_than_attention_and_than_the_middle() -> None:
    vit = attnlib.load("demo-objects", device="cpu")
    found: dict[str, list[tuple[float, float]]] = {}
    for image in objects.images():
        mask = np.asarray(Image.open(io.BytesIO(image.mask)), dtype=bool)
        subject = vit.subject(Image.open(io.BytesIO(image.data)).convert("RGB"))
        for name in ("object_map", "raw", "centre", "random"):
            one = localise(vit.explain(subject, name).values, mask)
            found.setdefault(name, []).append((one.auc, one.pointing))
    mean = {name: np.mean(pairs, axis=0) for name, pairs in found.items()}
    assert mean["object_map"][0] >= 0.8
    assert mean["object_map"][1] >= 0.6
    for name, least in (("raw", 0.03), ("centre", 0.015), ("random", 0.3)):
        assert (mean["object_map"] - mean[name] >= least).all(), name


def test_says_that_it_is_no_explanation() -> None:
    method = METHODS["object_map"]
    assert not method.class_specific and not method.compared
    assert "not why" in method.caution
    assert "object" in method.title.lower()


def test_refusals() -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=56).eval()
    with pytest.raises(CaptureError, match="window"):
        attnlib.load(swin, device="cpu").attribute(picture(), "object_map")

    class Bare(nn.Module):
        """A layer of attention that normalises nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.patch_embed = timm.layers.PatchEmbed(48, 16, 3, 8)
            self.head = nn.Linear(8, 2)

        def forward(self, pixels: Tensor) -> Tensor:
            x = self.patch_embed(pixels)[:, None]
            x = nn.functional.scaled_dot_product_attention(x, x, x)
            return self.head(x[:, 0].mean(dim=1))

    bare = attnlib.load(Bare().eval(), img_size=48, preprocessing={"mean": 0.5, "std": 0.5})
    with pytest.raises(CaptureError, match="no normalisation before its last attention layer"):
        bare.attribute(picture(), "object_map")
