"""The residual stream is what the layer projects, whatever else is normalised on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import Capture

HEADS, TOKENS, WIDTH = 2, 5, 8


class Layer(nn.Module):
    """A pre-norm layer whose queries and keys are normalised before the heads are split."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q_norm, self.k_norm = nn.LayerNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Linear(WIDTH, WIDTH)
        self.whole = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.project = project
        self.streams: list[Tensor] = []

    def heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    def attend(self, normed: Tensor) -> Tensor:
        if self.project == "whole":
            return self.whole(normed, normed, normed, need_weights=False)[0]
        weight = self.qkv.weight
        if self.project == "linear":
            qkv = self.qkv(normed)
        elif self.project == "matmul":
            qkv = normed @ weight.T + self.qkv.bias
        elif self.project == "einsum":
            qkv = torch.einsum("btd,ed->bte", normed, weight)
        else:
            qkv = F.conv1d(normed.transpose(1, 2), weight[..., None]).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        q, k = self.q_norm(q), self.k_norm(k)
        mixed = F.scaled_dot_product_attention(*map(self.heads, (q, k, v)))
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        self.streams.append(x)
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


@pytest.mark.parametrize("project", ["linear", "matmul", "einsum", "conv", "whole"])
@torch.no_grad()
def test_norms_of_queries_and_keys_are_not_the_stream(project: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(*(Layer(project) for _ in range(3)))
    calls: list[AttentionCall] = []
    with Capture(module, calls.append):
        module(torch.randn(1, TOKENS, WIDTH))
    assert len(calls) == 3
    for call, layer in zip(calls, module, strict=True):
        assert call.stream is not None and call.normed is not None
        assert torch.equal(call.stream, layer.streams[0])
        assert torch.equal(call.normed, layer.norm1(layer.streams[0]))


BLOCKS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "vit_tiny_patch16_224": lambda block: block.norm1,
    "deit3_small_patch16_224": lambda block: block.norm1,
    "beit_base_patch16_224": lambda block: block.norm1,
    "eva02_tiny_patch14_224": lambda block: block.norm1,
    "vit_small_patch16_dinov3": lambda block: block.norm1,
}


@pytest.mark.parametrize("name", BLOCKS)
@torch.no_grad()
def test_the_stream_of_timm_models_is_what_their_first_norm_gets(name: str) -> None:
    side = 56 if "patch14" in name else 64
    module = timm.create_model(name, img_size=side, depth=2, num_classes=3).eval()
    seen: list[Tensor] = []
    for block in module.blocks:
        BLOCKS[name](block).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    calls: list[AttentionCall] = []
    with Capture(module, calls.append):
        module(torch.randn(1, 3, side, side))
    assert [torch.equal(c.stream, s) for c, s in zip(calls, seen, strict=True)] == [True, True]
