"""The walk-through against the model's own modules, and the playground against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.intervention import at_temperature
from attnlib.lessons.playground import embed, projections, toy
from attnlib.lessons.walkthrough import follow, walk

FAMILIES = {
    "vit": ("vit_tiny_patch16_224", {}),
    "layer scale": ("deit3_small_patch16_224", {}),
    "q and k norms": ("vit_tiny_patch16_224", {"qk_norm": True}),
    "relative position": ("beit_base_patch16_224", {}),
    "rotary": ("eva02_tiny_patch14_224", {"img_size": 56}),
    "average": ("vit_tiny_patch16_224", {"global_pool": "avg"}),
}


def build(family: str) -> attnlib.Vit:
    torch.manual_seed(5)
    name, options = FAMILIES[family]
    options = {"img_size": 64, "depth": 2, "num_classes": 4, **options}
    module = timm.create_model(name, **options)
    for block in module.blocks:
        if hasattr(block, "ls1") and hasattr(block.ls1, "gamma"):
            block.ls1.gamma.data.uniform_(0.5, 1.5)
    return attnlib.load(module.eval(), device="cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_step_is_the_models_own(family: str, noise: Image.Image) -> None:
    vit = build(family)
    pixels = vit.pixels(noise)
    seen: dict[str, torch.Tensor] = {}
    for layer, query in ((0, 0), (1, 5)):
        # Hooks on this test's own model are an independent witness.
        block = vit.module.blocks[layer]
        handles = [
            block.register_forward_hook(lambda m, i, o: seen.__setitem__("block in", i[0])),
            block.attn.register_forward_hook(lambda m, i, o: seen.__setitem__("attn", o)),
            block.attn.register_forward_pre_hook(lambda m, i: seen.__setitem__("normed", i[0])),
            block.norm2.register_forward_pre_hook(lambda m, i: seen.__setitem__("after", i[0])),
        ]
        with torch.no_grad():
            vit.module(pixels)
        for handle in handles:
            handle.remove()
        found = walk(vit, pixels, layer, query)
        assert found.projection is not None and found.projected is not None
        assert found.self_check < 1e-5
        np.testing.assert_allclose(found.projected, seen["attn"][0, query], atol=1e-5)
        np.testing.assert_allclose(found.before, seen["block in"][0], atol=1e-6)
        np.testing.assert_allclose(found.tokens, seen["normed"][0], atol=1e-6)
        np.testing.assert_allclose(found.projection.after, seen["after"][0, query], atol=1e-5)
        gamma = found.projection.layer_scale
        added = found.projected if gamma is None else found.projected * gamma
        np.testing.assert_allclose(found.before[query] + added, found.projection.after, atol=1e-5)
        whole = vit.attention(noise, layer)[:, query]
        np.testing.assert_allclose(found.weights, whole, atol=1e-6)
        np.testing.assert_allclose(found.at(1.0), whole, atol=1e-5)
        assert found.scale == pytest.approx(found.dimension**-0.5)


def test_every_query_of_a_followed_layer_without_another_pass(noise: Image.Image) -> None:
    """Against a pass of its own for each query."""
    vit = build("vit")
    pixels = vit.pixels(noise)
    expected = [walk(vit, pixels, 1, query) for query in range(vit.layout.tokens)]
    followed = follow(vit, pixels, 1)
    passes: list[object] = []
    handle = vit.module.register_forward_hook(lambda *_: passes.append(1))
    try:
        for query, other in enumerate(expected):
            found = followed.walk(query)
            assert (found.layer, found.query) == (1, query)
            for name in ("before", "tokens", "queries", "scores", "weights", "heads", "projected"):
                np.testing.assert_array_equal(getattr(found, name), getattr(other, name), name)
            assert found.projection is not None and other.projection is not None
            np.testing.assert_array_equal(found.projection.after, other.projection.after)
            assert found.self_check < 1e-5
    finally:
        handle.remove()
    assert not passes
    for query in (-1, vit.layout.tokens):
        with pytest.raises(AttnlibError, match="no token"):
            followed.walk(query)


def test_every_step_follows_from_the_one_before(noise: Image.Image) -> None:
    vit = build("vit")
    found = walk(vit, vit.pixels(noise), 1, 3)
    attn = vit.module.blocks[1].attn
    qkv = torch.from_numpy(found.tokens) @ attn.qkv.weight.T.detach() + attn.qkv.bias.detach()
    q, k, v = qkv.reshape(17, 3, 3, 64).permute(1, 2, 0, 3)
    np.testing.assert_allclose(found.queries, q, atol=1e-5)
    np.testing.assert_allclose(found.keys, k, atol=1e-5)
    np.testing.assert_allclose(found.values, v, atol=1e-5)
    np.testing.assert_allclose(found.scores, (q[:, 3:4] @ k.mT)[:, 0], atol=1e-4)
    weights = torch.softmax((q[:, 3:4] @ k.mT)[:, 0] / 8, dim=-1)
    np.testing.assert_allclose(found.weights, weights, atol=1e-6)
    np.testing.assert_allclose(found.heads, (weights[:, None] @ v)[:, 0], atol=1e-5)
    np.testing.assert_array_equal(found.concatenated[64:128], found.heads[1])


def test_torchvision_hides_its_projection_and_is_followed_all_the_same() -> None:
    torch.manual_seed(0)
    module = torchvision.models.VisionTransformer(32, 16, 2, 2, 24, 48, num_classes=4).eval()
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.Resize((32, 32)), torchvision.transforms.ToTensor()]
    )
    vit = attnlib.load(module, transform=transform, img_size=32, device="cpu")
    found = walk(vit, torch.randn(1, 3, 32, 32), 1, 2)
    assert found.projection is not None
    assert found.self_check < 1e-5


def test_temperature_from_sharp_to_uniform(noise: Image.Image) -> None:
    vit = build("vit")
    found = walk(vit, vit.pixels(noise), 0, 0)
    np.testing.assert_allclose(found.at(1e6), 1 / 17, atol=1e-5)
    sharp = found.at(1e-6)
    np.testing.assert_allclose(sharp.max(-1), 1, atol=1e-6)
    np.testing.assert_array_equal(sharp.argmax(-1), found.scores.argmax(-1))
    np.testing.assert_allclose(found.at(scaled=False), found.at(found.scale), atol=1e-6)
    with pytest.raises(AttnlibError, match="above 0"):
        found.at(0)


@pytest.mark.parametrize("family", ["vit", "q and k norms", "relative position"])
def test_the_whole_model_at_another_temperature(family: str, noise: Image.Image) -> None:
    """Against a copy whose attention modules have another scale."""
    vit = build(family)
    pixels = vit.pixels(noise)
    torch.testing.assert_close(at_temperature(vit, pixels, 1.0), vit.module(pixels).detach())
    other = build(family)
    for block in other.module.blocks:
        block.attn.fused_attn = False
        block.attn.scale /= 3.0
    with torch.no_grad():
        expected = other.module(pixels)
    torch.testing.assert_close(at_temperature(vit, pixels, 3.0), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(AttnlibError, match="above 0"):
        at_temperature(vit, pixels, 0)


def test_a_model_that_hands_on_its_weights_only(noise: Image.Image) -> None:
    vit = build("vit")
    for block in vit.module.blocks:
        block.attn.fused_attn = False
    loaded = attnlib.load(vit.module, device="cpu")
    with pytest.raises(CaptureError, match="computes its softmax itself"):
        walk(loaded, loaded.pixels(noise), 0, 0)
    fused = at_temperature(build("vit"), vit.pixels(noise), 2.0)
    torch.testing.assert_close(at_temperature(loaded, vit.pixels(noise), 2.0), fused)


def test_refusals(vit: attnlib.Vit, noise: Image.Image) -> None:
    pixels = vit.pixels(noise)
    with pytest.raises(AttnlibError, match="layer must be from 0 to 5"):
        walk(vit, pixels, 6, 0)
    with pytest.raises(AttnlibError, match="no token 65"):
        walk(vit, pixels, 0, 65)
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=56).eval()
    windows = attnlib.load(swin, device="cpu")
    with pytest.raises(CaptureError, match="window"):
        walk(windows, windows.pixels(noise), 0, 0)
    with pytest.raises(CaptureError, match="window"):
        at_temperature(windows, windows.pixels(noise), 2.0)


# -- the playground -----------------------------------------------------------------------------


@given(st.integers(0, 1000), st.sampled_from([(8, 2), (12, 3), (16, 1)]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_playground_is_multi_head_attention(
    seed: int, shape: tuple[int, int], causal: bool
) -> None:
    dimension, heads = shape
    text = "a b c a d"
    module = torch.nn.MultiheadAttention(dimension, heads, bias=False, batch_first=True).double()
    *inner, w_o = projections(dimension, seed)
    module.in_proj_weight.data[:] = torch.from_numpy(np.concatenate(inner))
    module.out_proj.weight.data[:] = torch.from_numpy(w_o)
    x = torch.from_numpy(embed(text.split(), dimension, seed))[None]
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    result, expected = module(x, x, x, attn_mask=mask, average_attn_weights=False)
    found = toy(text, dimension=dimension, heads=heads, causal=causal, seed=seed)
    np.testing.assert_allclose(found.weights, expected[0].detach(), atol=1e-10)
    np.testing.assert_allclose(found.projected, result[0].detach(), atol=1e-10)
    split = [(x[0].numpy() @ weight.T).reshape(5, heads, -1).transpose(1, 0, 2) for weight in inner]
    for name, values in zip("qkv", split, strict=True):
        np.testing.assert_allclose(getattr(found, name), values, atol=1e-10)
    tensors = map(torch.from_numpy, split)
    outputs = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal)
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-10)
    np.testing.assert_allclose(found.scores, np.einsum("hqd,hkd->hqk", *split[:2]), atol=1e-10)
    assert found.hidden.sum() == (10 if causal else 0)
    assert found.scale == pytest.approx((dimension / heads) ** -0.5)
    biased = torch.nn.MultiheadAttention(dimension, heads)
    assert found.parameters == sum(p.numel() for p in biased.parameters())


def test_cross_attention_and_refusals() -> None:
    found = toy("one two", other="three four five", dimension=8, heads=2)
    assert found.weights.shape == (2, 2, 3)
    assert (found.queries, found.keys) == (("one", "two"), ("three", "four", "five"))
    np.testing.assert_allclose(found.weights.sum(-1), 1)
    shapes = found.asking.shape, found.asked.shape, found.v.shape, found.projected.shape
    assert shapes == ((2, 8), (3, 8), (2, 3, 4), (2, 8))
    same = embed(["cat", "Cat"], 8, 0) - embed(["x", "x"], 8, 0)
    np.testing.assert_allclose(same[0], same[1])
    with pytest.raises(AttnlibError, match="3 heads do not divide the dimension 8"):
        toy("a", dimension=8, heads=3)
    with pytest.raises(AttnlibError, match="at least one word"):
        toy("   ")
    with pytest.raises(AttnlibError, match="no common order"):
        toy("one two", other="three four five", dimension=8, heads=2, causal=True)
