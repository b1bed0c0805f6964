"""Every spelling of attention gives the matrix that a plain formula in float64 gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention.flex_attention import flex_attention

import attnlib
from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.contraction import sums_to_one
from attnlib.capture.support import examine
from tests.capture.plain_vit import Attention, Vit, prepare

PICTURE = Image.effect_noise((64, 64), 80)


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5


def exponents(s: Tensor, dim: int = -1) -> Tensor:
    grown = (s - s.amax(dim, keepdim=True)).exp()
    return grown / grown.sum(dim, keepdim=True)


def heads_last(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``(B, i, j, H)``, the softmax over j."""
    s = torch.einsum("bhid,bhjd->bijh", q, k) * q.shape[-1] ** -0.5
    return torch.einsum("bijh,bhjd->bhid", s.softmax(2), v)


def loops(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A batched product with images and heads in one dimension, and a softmax of its own."""
    b, h, t, d = q.shape
    flat = [x.reshape(b * h, t, d) for x in (q, k, v)]
    s = torch.baddbmm(q.new_zeros(1), flat[0], flat[1].mT, beta=0, alpha=d**-0.5)
    return torch.bmm(exponents(s), flat[2]).reshape(b, h, t, d)


SPELLINGS: dict[str, Attention] = {
    "fused": F.scaled_dot_product_attention,
    "softmax": lambda q, k, v: scores(q, k).softmax(-1) @ v,
    "einsum": lambda q, k, v: torch.einsum("bhij,bhjd->bhid", scores(q, k).softmax(-1), v),
    "einsum of a list": lambda q, k, v: torch.einsum(
        "b h l t, b h t v -> b h l v", [scores(q, k).softmax(-1), v]
    ),
    "einsum with dots": lambda q, k, v: torch.einsum(
        "...ij,...jd->...id", scores(q, k).softmax(-1), v
    ),
    "einsum turned": lambda q, k, v: torch.einsum(
        "bhjd,bhij->bdhi", v, scores(q, k).softmax(-1)
    ).permute(0, 2, 3, 1),
    "einsum without an arrow": lambda q, k, v: torch.einsum(
        "...ij,...jz", scores(q, k).softmax(-1), v
    ),
    "heads last": heads_last,
    "exp / sum": lambda q, k, v: exponents(scores(q, k)) @ v,
    "exp / sum, einsum": lambda q, k, v: torch.einsum(
        "bhij,bhjd->bhid", exponents(scores(q, k)), v
    ),
    "exp / sum, turned": lambda q, k, v: (v.mT @ exponents(scores(q, k)).mT).mT,
    "log_softmax": lambda q, k, v: F.log_softmax(scores(q, k), -1).exp() @ v,
    "batched product": loops,
}


class Truth:
    """What the plain formula gives, in float64, for each layer."""

    def __init__(self) -> None:
        self.maps: list[np.ndarray] = []

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.maps.append(exponents(scores(q, k))[0].detach().numpy())
        return torch.from_numpy(self.maps[-1])[None] @ v


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_against_the_formula(name: str, pool: str) -> None:
    vit = attnlib.load(
        Vit(pool, attention=SPELLINGS[name]).double(), transform=prepare, img_size=64
    )
    truth = Truth()
    plain = Vit(pool, attention=truth).double().eval()
    pixels = vit.pixels(PICTURE)
    logits = plain(pixels)[0]
    found = [vit.attention(PICTURE, layer) for layer in range(2)]
    np.testing.assert_allclose(found, truth.maps, atol=1e-6)
    record = vit.inspect(PICTURE)
    np.testing.assert_allclose(record.logits, logits.detach().numpy(), atol=1e-5)
    assert record.self_check < 1e-9
    assert vit.layout.readout == {"cls": "cls", "mean": "average"}[pool]
    fused = attnlib.load(Vit(pool).double(), transform=prepare, img_size=64)
    for method in ("rollout", "relevance", "gradcam"):
        maps = [model.attribute(PICTURE, method, 1).values for model in (vit, fused)]
        np.testing.assert_allclose(*maps, atol=1e-6)


@pytest.mark.parametrize("name", SPELLINGS)
def test_interventions_reach_the_model(name: str) -> None:
    """Twice the ``A V`` of every layer is the model with its output projections doubled."""
    module = Vit(attention=SPELLINGS[name]).eval()
    pixels = torch.randn(2, 3, 64, 64)

    def twice(call: AttentionCall) -> Tensor:
        assert call.output is not None
        return 2 * call.output

    with torch.no_grad():
        changed, _ = passes.forward(module, pixels, twice)
        for layer in module.layers:
            layer.out.weight.mul_(2)  # type: ignore[union-attr, operator]
        torch.testing.assert_close(changed, module(pixels))


class Mixed(nn.Module):
    """DeepViT: after the softmax the heads are mixed and normalised, so that no shares are left."""

    def __init__(self, product: str) -> None:
        super().__init__()
        self.mix, self.norm = nn.Parameter(torch.randn(4, 4)), nn.LayerNorm(4)
        self.product = product

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attention = scores(q, k).softmax(-1)
        attention = torch.einsum("bhij,hg->bgij", attention, self.mix)
        attention = self.norm(attention.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if self.product == "einsum":
            return torch.einsum("bhij,bhjd->bhid", attention, v)
        return attention @ v


@pytest.mark.parametrize("product", ["einsum", "matmul"])
def test_heads_mixed_after_the_softmax(product: str) -> None:
    vit = attnlib.load(Vit(attention=Mixed(product)), transform=prepare, img_size=64)
    for layer in range(2):
        rows = vit.attention(PICTURE, layer)
        np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
        assert rows.min() >= 0
    assert "relevance" not in vit.support.maps
    assert "mixed after the softmax" in vit.support.reason
    assert vit.inspect(PICTURE).self_check < 1e-5


def test_shares_are_told_by_every_row() -> None:
    shares = torch.full((1, 4, 4), 0.25)
    signed, short = shares.clone(), shares.clone()
    signed[0, 2] = torch.tensor([2.0, -1.0, 0.5, -0.5])
    short[0, 3] = 0.2
    assert [sums_to_one(rows) for rows in (shares, signed, short)] == [True, False, False]
    # Features through a softmax, and an interpolation that the model learned.
    assert not sums_to_one(torch.full((1, 9, 4), 0.25))
    assert not sums_to_one(nn.Parameter(shares))


UNSEEN: dict[str, Attention] = {
    "sigmoid": lambda q, k, v: scores(q, k).sigmoid() @ v,
    "linear": lambda q, k, v: (q.relu() + 1) @ ((k.relu() + 1).mT @ v),
    "mean": lambda q, k, v: v.mean(2, keepdim=True).expand_as(v),
    # It hands its operator to a compiler, out of sight of a function mode.
    "flex": flex_attention,
    "flex with a bias": lambda q, k, v: flex_attention(
        q, k, v, score_mod=lambda score, batch, head, i, j: score + 0.1 * (i - j)
    ),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_is_not_seen_is_refused(name: str) -> None:
    with pytest.raises(attnlib.CaptureError, match="no attention that this tool recognises"):
        examine(Vit(attention=UNSEEN[name]).eval(), (64, 64))


def test_no_share_is_taken_for_attention() -> None:
    """Features through a softmax, as in efficient attention: no weights between tokens."""

    def efficient(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return q.softmax(-1) @ (k.softmax(-2).mT @ v)

    options: dict[str, Any] = {"attention": efficient}
    with pytest.raises(attnlib.CaptureError):
        attnlib.load(Vit(**options), transform=prepare, img_size=64)
