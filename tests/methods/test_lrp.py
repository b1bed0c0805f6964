"""AttnLRP and CP-LRP against relevance handed down rule by rule, and against what is conserved.

The methods are gradients under changed derivatives. The references have no gradient: one divides
each relevance among its parts as the papers' equations do, the other freezes what the rules call
constants and takes the model, then an affine map, apart by its inputs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import timm.layers
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods import METHODS
from attnlib.methods.lrp_rules import Rules

SIDE, PATCH, GRID = 32, 8, (4, 4)


def make(seed: int = 0, name: str = "vit_tiny_patch16_224", **options: Any) -> nn.Module:
    """A small model in float64 whose biases, too, are random."""
    torch.manual_seed(seed)
    small = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": 24, "num_heads": 3}
    small |= {} if "depths" in options else {"depth": 2}
    module = timm.create_model(name, num_classes=4, **{**small, **options}).double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def picture(seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


def values(module: nn.Module, method: str, target: int, seed: int = 0, **options: Any) -> Tensor:
    heat = attnlib.load(module, device="cpu").attribute(picture(seed), method, target, **options)
    return torch.from_numpy(heat.values.astype(np.float64))


def pixels(module: nn.Module, seed: int = 0) -> Tensor:
    return attnlib.load(module, device="cpu").pixels(picture(seed))


# -- relevance handed down, operation by operation ---------------------------------------------


def linear_down(x: Tensor, weight: Tensor, bias: Tensor, relevance: Tensor) -> Tensor:
    """R_i = Σ_j x_i w_ji / z_j R_j (Achtibat et al. 2024, eq. 8, ε = 0)."""
    return x * ((relevance / F.linear(x, weight, bias)) @ weight)


def norm_down(x: Tensor, norm: nn.LayerNorm, relevance: Tensor) -> Tensor:
    """The same of a LayerNorm whose deviation is a number: each output a sum over the inputs."""
    deviation = (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    share = relevance / norm(x) * norm.weight / deviation
    return x * (share - share.mean(-1, keepdim=True))


def attention_down(
    q: Tensor, k: Tensor, v: Tensor, scale: float, relevance: Tensor, through_weights: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """To queries, keys and values ``(H, T, d)``, from the relevance of A V, eq. 13 to 15."""
    scores = scale * q @ k.mT
    weights = scores.softmax(-1)
    parts = torch.einsum("hij,hjd->hijd", weights, v)
    shares = parts / parts.sum(2, keepdim=True) * relevance[:, :, None]
    if not through_weights:
        return torch.zeros_like(q), torch.zeros_like(k), shares.sum(1)
    of_weights = shares.sum(3) / 2
    of_scores = scores * (of_weights - weights * of_weights.sum(-1, keepdim=True))
    pairs = scale * torch.einsum("hid,hjd->hijd", q, k)
    down = pairs / scores[..., None] * of_scores[..., None] / 2
    return down.sum(2), down.sum(1), shares.sum(1) / 2


def handed_down(module: Any, image: Tensor, target: int, through_weights: bool) -> Tensor:
    """The relevance of each pixel, ``(3, h, w)``."""
    unfold = F.unfold(image, PATCH, stride=PATCH)[0].T
    kernel = module.patch_embed.proj.weight.flatten(1)
    embedded = F.linear(unfold, kernel, module.patch_embed.proj.bias)
    stream = torch.cat([module.cls_token[0], embedded]) + module.pos_embed[0]
    seen = []
    for block in module.blocks:
        b = SimpleNamespace(before=stream, block=block, attn=block.attn)
        b.normed = block.norm1(stream)
        heads = block.attn.qkv(b.normed).unflatten(-1, (3, block.attn.num_heads, -1))
        b.q, b.k, b.v = heads.permute(1, 2, 0, 3)
        weights = (block.attn.scale * b.q @ b.k.mT).softmax(-1)
        b.product = (weights @ b.v).permute(1, 0, 2).flatten(1)
        b.attended = block.attn.proj(b.product)
        b.middle = stream + b.attended
        b.normed2 = block.norm2(b.middle)
        b.active = block.mlp.act(block.mlp.fc1(b.normed2))
        b.mixed = block.mlp.fc2(b.active)
        stream = b.middle + b.mixed
        seen.append(b)
    final = module.norm(stream)
    logits = module.head(final[:1])
    relevance = torch.zeros_like(logits)
    relevance[0, target] = logits[0, target]
    down = torch.zeros_like(final)
    down[:1] = linear_down(final[:1], module.head.weight, module.head.bias, relevance)
    down = norm_down(stream, module.norm, down)
    for b in reversed(seen):
        mlp, attn, out = b.block.mlp, b.attn, b.middle + b.mixed
        mixed = linear_down(b.active, mlp.fc2.weight, mlp.fc2.bias, down * b.mixed / out)
        mixed = linear_down(b.normed2, mlp.fc1.weight, mlp.fc1.bias, mixed)
        down = down * b.middle / out + norm_down(b.middle, b.block.norm2, mixed)
        passed = linear_down(
            b.product, attn.proj.weight, attn.proj.bias, down * b.attended / b.middle
        )
        passed = passed.unflatten(1, (attn.num_heads, -1)).permute(1, 0, 2)
        parts = attention_down(b.q, b.k, b.v, attn.scale, passed, through_weights)
        joined = torch.stack(parts).permute(2, 0, 1, 3).flatten(1)
        read = linear_down(b.normed, attn.qkv.weight, attn.qkv.bias, joined)
        down = down * b.before / b.middle + norm_down(b.before, b.block.norm1, read)
    down = down[1:] * embedded / (embedded + module.pos_embed[0, 1:])
    down = linear_down(unfold, kernel, module.patch_embed.proj.bias, down)
    return F.fold(down.T, image.shape[2:], PATCH, stride=PATCH)


def per_patch(relevance: Tensor) -> Tensor:
    return relevance.sum(0).reshape(GRID[0], PATCH, GRID[1], PATCH).sum((1, 3))


@pytest.mark.parametrize(("method", "through_weights"), [("attnlrp", True), ("cplrp", False)])
@pytest.mark.parametrize("target", [0, 3])
def test_is_the_relevance_that_the_equations_hand_down(
    method: str, through_weights: bool, target: int
) -> None:
    module = make(seed=target)
    with torch.no_grad():
        expected = per_patch(handed_down(module, pixels(module), target, through_weights))
    found = values(module, method, target)
    # The maps are float32.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


# -- what is conserved -------------------------------------------------------------------------


def frozen(module: Any, image: Tensor) -> Callable[[Tensor], Tensor]:
    """The model as the affine map that CP-LRP takes it for at an image: pixels -> logits."""
    held: list[Tensor] = []

    def run(x: Tensor, held_back: list[Tensor] | None) -> Tensor:
        given = iter(held_back or ())

        def constant(now: Tensor) -> Tensor:
            if held_back is not None:
                return next(given)
            held.append(now)
            return now

        def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
            deviation = constant((x.var(-1, unbiased=False, keepdim=True) + layer.eps).sqrt())
            return (x - x.mean(-1, keepdim=True)) / deviation * layer.weight + layer.bias

        x = module._pos_embed(module.patch_embed(x))
        for block in module.blocks:
            normed, attn = norm(block.norm1, x), block.attn
            q, k, v = attn.qkv(normed).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
            weights = constant((attn.scale * q @ k.mT).softmax(-1))
            x = x + attn.proj((weights @ v).transpose(1, 2).flatten(2))
            hidden = block.mlp.fc1(norm(block.norm2, x))
            x = x + block.mlp.fc2(hidden * constant(F.gelu(hidden) / hidden))
        return module.head(norm(module.norm, x)[:, 0])[0]

    torch.testing.assert_close(run(image, None), module(image)[0])
    return lambda x: run(x, held)


@torch.no_grad()
def test_cp_lrp_takes_the_model_apart_as_an_affine_map() -> None:
    """Each patch alone through the frozen map gives its relevance; the rest is the biases'."""
    module = make(seed=5)
    image = pixels(module)
    affine = frozen(module, image)
    nothing = affine(torch.zeros_like(image))
    expected = torch.zeros(GRID)
    for i in range(GRID[0]):
        for j in range(GRID[1]):
            alone = torch.zeros_like(image)
            where = (..., slice(i * PATCH, (i + 1) * PATCH), slice(j * PATCH, (j + 1) * PATCH))
            alone[where] = image[where]
            expected[i, j] = (affine(alone) - nothing)[2]
    with torch.enable_grad():
        found = values(module, "cplrp", 2)
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum() + nothing[2], module(image)[0, 2], rtol=1e-5, atol=1e-5)


WITHOUT_OFFSETS = {
    "cls": {},
    "average, gated MLP, root mean square norm": {
        "global_pool": "avg",
        "mlp_layer": timm.layers.SwiGLU,
        "norm_layer": timm.layers.RmsNorm,
        "qk_norm": True,
    },
    "pooled by attention": {"name": "vit_base_patch16_siglip_224"},
    "rotary": {"name": "eva02_tiny_patch14_224", "embed_dim": 48},
    "windows": {
        "name": "swin_tiny_patch4_window7_224",
        "patch_size": 4,
        "window_size": 4,
        "depths": (1, 2),
        "num_heads": (1, 2),
    },
}


@pytest.mark.parametrize("kind", WITHOUT_OFFSETS)
@examples(max_examples=4)
@given(seed=st.integers(0, 1000))
def test_cp_lrp_conserves_the_logit_where_nothing_is_added(kind: str, seed: int) -> None:
    """Without biases and position embeddings the patches share the whole logit out."""
    module = make(seed, **WITHOUT_OFFSETS[kind])
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            # The bias of attention's scores is no offset: its weights are constants.
            offset = name.endswith("bias") or "pos_embed" in name or "token" in name
            if offset or name.endswith("latent"):
                parameter.mul_(0 if offset else 1)
    logits = module(pixels(module, seed))[0]
    found = values(module, "cplrp", 1, seed).sum()
    torch.testing.assert_close(found, logits[1], rtol=1e-5, atol=1e-5)


# -- every spelling of attention ---------------------------------------------------------------


class Spelled(nn.Module):
    """A model of one attention layer, in one of the spellings, without a prefix token."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.spelling = spelling
        self.embed = nn.Conv2d(3, 12, PATCH, PATCH)
        self.norm = nn.LayerNorm(12)
        self.attn = nn.MultiheadAttention(12, 3, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).mT
        normed = self.norm(tokens)
        if self.spelling == "module":
            mixed = self.attn(normed, normed, normed, need_weights=False)[0]
        else:
            joined = F.linear(normed, self.attn.in_proj_weight, self.attn.in_proj_bias)
            q, k, v = joined.unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
            if self.spelling == "fused":
                product = F.scaled_dot_product_attention(q, k, v)
            elif self.spelling == "softmax":
                product = ((q * 0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
            else:
                weights = F.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / 2, dim=-1)
                product = torch.einsum("bhij,bhjd->bhid", weights, v)
            mixed = self.attn.out_proj(product.transpose(1, 2).flatten(2))
        return self.head((tokens + mixed).mean(1))


@pytest.mark.parametrize("method", ["attnlrp", "cplrp"])
def test_spellings_of_one_attention_have_one_map(method: str) -> None:
    torch.manual_seed(3)
    state = Spelled("fused").state_dict()
    found = []
    for spelling in ("fused", "module", "softmax", "einsum"):
        module = Spelled(spelling)
        module.load_state_dict({name: 3 * value for name, value in state.items()})
        vit = attnlib.load(
            module.double().eval(),
            img_size=SIDE,
            device="cpu",
            preprocessing={"mean": 0.5, "std": 0.5},
        )
        found.append(vit.attribute(picture(), method, 1).values)
    assert np.abs(found[0]).max() > 1e-3
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4, atol=1e-6)


# -- what surrounds the maps -------------------------------------------------------------------


def test_the_contrast_is_the_difference_of_two_maps() -> None:
    module = make(seed=8)
    first, second = (values(module, "attnlrp", target) for target in (0, 2))
    found = values(module, "attnlrp_contrast", 0, against=2)
    torch.testing.assert_close(found, first - second, rtol=1e-4, atol=1e-6)
    for options in ({}, {"against": 0}):
        with pytest.raises(AttnlibError, match="two classes"):
            values(module, "attnlrp_contrast", 0, **options)


def test_other_threads_keep_their_own_derivatives() -> None:
    """While one thread explains by rules, another's gradients are those of the model."""
    module = make(seed=1)
    vit = attnlib.load(module, device="cpu")
    image = vit.pixels(picture())

    def slope() -> NDArray[np.float64]:
        x = image.clone().requires_grad_()
        return torch.autograd.grad(module(x)[0, 0], x)[0].numpy()

    alone, wrong, stop = slope(), [], threading.Event()

    def work() -> None:
        while not stop.is_set():
            wrong.append(float(np.abs(slope() - alone).max()))

    names = set(vars(module))
    thread = threading.Thread(target=work)
    thread.start()
    maps = [vit.attribute(picture(), "attnlrp", 0).values for _ in range(20)]
    stop.set()
    thread.join()
    assert wrong and max(wrong) < 1e-12
    assert all(np.array_equal(one, maps[0]) for one in maps)
    assert set(vars(module)) == names
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_frozen_backbone_is_explained_too() -> None:
    module = make(seed=2)
    expected = values(module, "attnlrp", 1)
    inner = type(module).forward_features

    def forward_features(x: Tensor, *args: Any, **options: Any) -> Tensor:
        with torch.no_grad():
            return inner(module, x, *args, **options)

    module.forward_features = forward_features  # type: ignore[assignment]
    torch.testing.assert_close(values(module, "attnlrp", 1), expected)


def test_an_operation_without_a_rule_is_refused_by_name() -> None:
    class Waves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sin(x)

    module = make()
    module.blocks[0].mlp.act = Waves()
    with pytest.raises(CaptureError, match="no rule for the operation 'sin'"):
        values(module, "attnlrp", 0)


def test_a_gate_of_the_image_gets_half() -> None:
    """x · SiLU(z) of two linear maps of the image, by hand: half to x and half to z."""

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(24, 24), nn.Linear(24, 24)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) * F.silu(self.b(x))

    torch.manual_seed(0)
    gate = Gate().double()
    x = torch.randn(5, 24, dtype=torch.float64, requires_grad=True)
    with Rules(through_weights=True):
        out = gate(x)
    (found,) = torch.autograd.grad(out.sum(), x)
    with torch.no_grad():
        a, z = gate.a(x), gate.b(x)
        half = a * F.silu(z) / 2
        expected = linear_down(x, gate.a.weight, gate.a.bias, half)
        expected += linear_down(x, gate.b.weight, gate.b.bias, half)
    torch.testing.assert_close(found * x, expected)


def test_a_sigmoid_gates_what_the_signal_carries() -> None:
    """x · σ(1.702 x), as CLIP spells its activation, hands on as one element-wise function."""
    x = torch.linspace(-3, 3, 13, dtype=torch.float64).requires_grad_()
    with Rules(through_weights=True):
        out = x * torch.sigmoid(1.702 * x)
    (found,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(found * x, out)


def test_says_that_it_is_under_patent_and_can_be_taken_out(
    setting: Callable[..., Any], vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    family = {"attnlrp", "attnlrp_contrast", "cplrp"}
    assert family == {name for name, method in METHODS.items() if method.patented}
    assert all("under patent" in METHODS[name].description for name in family)
    setting(lrp=False)
    assert not family & set(METHODS) and len(METHODS) == len(list(METHODS))
    assert not family & set(attnlib.methods())
    with pytest.raises(AttnlibError, match="ATTNLIB_LRP"):
        vit.attribute(pictures[0], "attnlrp")


def test_a_dashboard_without_the_family_does_not_compare_it() -> None:
    code = "from attnlib.dashboard.compare.settings import COMPARED; print(*COMPARED)"
    for value, there in (("0", False), ("1", True)):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "ATTNLIB_LRP": value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ("attnlrp" in run.stdout.split()) is there
        assert "relevance" in run.stdout.split()
