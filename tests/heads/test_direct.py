"""Direct effects against the sum written out by hand, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.heads.direct import DirectEffect, direct_effect

SIDE = (48, 80)


def picture() -> Image.Image:
    rng = np.random.default_rng(4)
    return Image.fromarray(rng.integers(0, 256, (*SIDE, 3), dtype=np.uint8))


def make(name: str = "vit_tiny_patch16_224", **options: Any) -> Any:
    torch.manual_seed(2)
    small = {"img_size": SIDE, "depth": 3, "embed_dim": 48, "num_heads": 3, "num_classes": 5}
    module = timm.create_model(name, **{**small, **options}).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    return module


@torch.no_grad()
def by_hand(module: Any, pixels: Tensor, target: int, average: bool) -> DirectEffect:
    """Each writer's vector, centred, over the deviation of the last norm, times the class's row."""
    stream = module._pos_embed(module.patch_embed(pixels))
    heads, biases, mixed, embedding = [], [], [], stream
    for block in module.blocks:
        attn = block.attn
        q, k, v = attn.qkv(block.norm1(stream)).unflatten(-1, (3, attn.num_heads, -1)).unbind(2)
        weights = torch.softmax(attn.scale * torch.einsum("bihd,bjhd->bhij", q, k), -1)
        out = attn.proj.weight.unflatten(1, (attn.num_heads, -1))  # (D, H, d)
        scale = getattr(block.ls1, "gamma", torch.ones(()).double())
        # What query i has from token j by head h: (h, i, j, D).
        heads.append(torch.einsum("bhij,bjhd,Dhd->hijD", weights, v, out) * scale)
        biases.append((attn.proj.bias * scale).expand_as(stream[0]))
        stream = stream + heads[-1].sum((0, 2)) + biases[-1]
        mixed.append(block.ls2(block.mlp(block.norm2(stream))))
        stream = stream + mixed[-1]
    row = module.head.weight[target]
    prefix = module.num_prefix_tokens
    if average:
        # The mean of the patches is normalised, not the tokens.
        read = torch.zeros(stream.shape[1]).double()
        read[prefix:] = 1 / (stream.shape[1] - prefix)
        norm, seen = module.fc_norm, (read @ stream[0])[None]
    else:
        read = torch.eye(stream.shape[1]).double()[0]
        norm, seen = module.norm, stream[0, :1]
    deviation = (seen.var(-1, unbiased=False) + norm.eps).sqrt()
    direction = norm.weight * row / deviation
    direction = direction - direction.mean()

    def part(written: Tensor) -> Tensor:
        """``(..., T, D) -> (...)``."""
        return torch.einsum("...iD,i,D->...", written, read, direction)

    return DirectEffect(
        logit=float(module(pixels)[0, target]),
        tokens=np.stack([part(h.movedim(1, 2)).numpy() for h in heads]),
        rest=np.array([float(part(b)) for b in biases]),
        mixing=np.array([float(part(m)) for m in mixed]),
        embedding=float(part(embedding)),
        constant=float(row @ norm.bias + module.head.bias[target]),
    )


CASES = {
    "cls": {},
    "average": {"global_pool": "avg"},
    "registers": {"name": "vit_small_patch14_reg4_dinov2", "patch_size": 16, "init_values": 0.5},
}


@pytest.mark.parametrize("case", CASES)
def test_is_the_sum_written_out(case: str) -> None:
    module = make(**CASES[case])
    vit = attnlib.load(module, device="cpu")
    pixels = vit.pixels(picture())
    found = direct_effect(vit, pixels, 3)
    expected = by_hand(module, pixels, 3, case == "average")
    np.testing.assert_allclose(expected.sum(), expected.logit, rtol=1e-9)
    for name in ("logit", "tokens", "rest", "mixing", "embedding", "constant"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-8, atol=1e-10, err_msg=name
        )
    assert found.tokens.shape == (3, 3, vit.layout.tokens)
    assert np.ptp(found.heads) > 1e-3


@pytest.mark.parametrize(
    "options", [*CASES.values(), {"name": "vit_base_patch16_siglip_224"}], ids=[*CASES, "pool"]
)
def test_parts_sum_to_the_logit_and_the_margin(options: Any) -> None:
    module = make(**options)
    vit = attnlib.load(module, device="cpu")
    pixels = vit.pixels(picture())
    logits = module(pixels)[0].detach()
    for target, against in ((1, None), (1, 4)):
        found = direct_effect(vit, pixels, target, against)
        expected = logits[target] - (0 if against is None else logits[against])
        assert found.sum() == pytest.approx(float(expected), rel=1e-9)
        assert found.heads.sum() + found.rest.sum() + found.mixing.sum() == pytest.approx(
            found.layers.sum()
        )


def test_the_last_layers_heads_are_ranked_as_their_removal_does() -> None:
    """Of the last layer nothing but the MLP comes after: with it silent, removal is the part."""
    module = make()
    last = module.blocks[-1]
    with torch.no_grad():
        last.mlp.fc2.weight.zero_()
        last.mlp.fc2.bias.zero_()
        # A deviation that removal does not change: a norm of almost nothing but its eps.
        module.norm.eps = 1e6
    vit = attnlib.load(module, device="cpu")
    pixels = vit.pixels(picture())
    parts = direct_effect(vit, pixels, 0).heads[-1]
    plain = float(module(pixels)[0, 0].detach())
    width = last.attn.proj.weight.shape[1] // 3
    for head in range(3):
        kept = last.attn.proj.weight.data.clone()
        last.attn.proj.weight.data[:, head * width : (head + 1) * width] = 0
        without = float(module(pixels)[0, 0].detach())
        last.attn.proj.weight.data = kept
        assert plain - without == pytest.approx(parts[head], rel=1e-4)


def test_refusals() -> None:
    module = make()
    vit = attnlib.load(module, device="cpu")
    with pytest.raises(AttnlibError, match="A class must be from 0 to 4, not 9"):
        direct_effect(vit, vit.pixels(picture()), 9)
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=56).eval()
    windows = attnlib.load(swin, device="cpu")
    with pytest.raises(CaptureError, match="no one stream"):
        direct_effect(windows, windows.pixels(picture()), 0)
