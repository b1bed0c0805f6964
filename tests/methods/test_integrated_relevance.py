"""Integrated relevance against explicit matrices in float64, and on planted mistakes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import attnlib
from attnlib.capture.evened import evened
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods import METHODS, Subject
from tests.methods.test_all_methods import GRADIENT_CASES, Built, patches, picture
from tests.methods.test_all_methods import build as build_case


@pytest.fixture(scope="module")
def built() -> Callable[[str], Built]:
    made: dict[str, Built] = {}
    return lambda key: made.setdefault(key, build_case(key))


def expected(
    subject: Built, target: int, against: int | None, own: float, start: int
) -> np.ndarray:
    """Relevance in one pass whose attention after the softmax is mixed with 1 / T, ``(T,)``."""
    own_maps: list[Tensor] = []
    mixed: list[Tensor] = []

    def even(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        attention = inputs[0]
        own_maps.append(attention.detach()[0])
        mixed.append(own * attention + (1 - own) / attention.shape[-1])
        mixed[-1].retain_grad()
        return (mixed[-1],)

    drops = [m for name, m in subject.plain.named_modules() if name.endswith("attn.attn_drop")]
    handles = [drop.register_forward_pre_hook(even) for drop in drops]
    pools: list[Tensor] = []
    original = torch.Tensor.softmax

    def softmax(tensor: Tensor, *args: object, **kwargs: object) -> Tensor:
        pools.append(original(tensor, *args, **kwargs))  # type: ignore[arg-type]
        return pools[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "softmax", softmax)
        logits = subject.plain(subject.vit.pixels(picture()))[0]
    for handle in handles:
        handle.remove()
    (logits[target] - (0 if against is None else logits[against])).backward()
    tokens = mixed[0].shape[-1]
    readout = torch.from_numpy(subject.readout)
    if subject.case.readout == "pool":
        row = pools[-1].detach()[0].mean(dim=(0, 1))
        readout = torch.cat([row.new_zeros(tokens - len(row)), row]) / row.sum()
    total = torch.eye(tokens, dtype=torch.float64)
    for attention, one in list(zip(own_maps, mixed, strict=True))[start:]:
        assert one.grad is not None
        weighted = (attention * one.grad[0]).clamp(min=0).mean(dim=0)
        total = total + weighted @ total
    return (readout @ total - readout).numpy()


@pytest.mark.parametrize("key", GRADIENT_CASES)
@pytest.mark.parametrize(("against", "steps", "start"), [(None, 3, 0), (2, 6, 0), (0, 2, 1)])
def test_is_the_mean_of_relevance_on_the_way(
    key: str, against: int | None, steps: int, start: int, built: Callable[[str], Built]
) -> None:
    subject = built(key)
    name = "integrated_relevance" if against is None else "integrated_relevance_contrast"
    options = {} if against is None else {"against": against}
    heat = subject.vit.attribute(picture(), name, 1, steps=steps, start_layer=start, **options)
    places = [(k + 0.5) / steps for k in range(steps)]
    mean = np.mean([expected(subject, 1, against, own, start) for own in places], axis=0)
    np.testing.assert_allclose(heat.values, patches(mean), rtol=1e-5, atol=1e-8 * mean.max())
    assert heat.values.min() >= 0 and heat.values.max() > 0
    assert heat.target == 1 and not heat.signed


def test_at_the_end_of_the_way_is_relevance(built: Callable[[str], Built]) -> None:
    vit = built("registers").vit
    subject = Subject(vit, vit.pixels(picture()))
    ((trace, gradients),) = evened(vit, subject.pixels, torch.ones(1), lambda z: z[:, 3])
    for one, other in zip(gradients, subject.differentiable.of_attention(3), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(trace.layers[-1].rows(), subject.trace.layers[-1].rows(), rtol=1e-9)


@pytest.mark.parametrize("spelling", ["one operator", "torchvision", "softmax"])
def test_every_spelling_of_attention_gives_the_same(spelling: str) -> None:
    """torchvision's nn.MultiheadAttention and a softmax of one's own, with the same weights."""
    torch.manual_seed(0)
    size = {"image_size": 64, "patch_size": 16, "num_layers": 2, "num_heads": 2}
    width = {"hidden_dim": 24, "mlp_dim": 48, "num_classes": 4}
    torchvision = pytest.importorskip("torchvision").models.VisionTransformer(**size, **width)
    timm.layers.set_fused_attn(spelling == "one operator")
    try:
        plain = timm.create_model(
            "vit_tiny_patch16_224",
            img_size=64,
            depth=2,
            embed_dim=24,
            num_heads=2,
            mlp_ratio=2,
            num_classes=4,
        )
    finally:
        timm.layers.set_fused_attn(True)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        _into(torchvision, plain)
    pixels = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    found = []
    for module in (plain, torchvision) if spelling == "torchvision" else (plain,):
        vit = attnlib.load(
            module.double().eval(),
            img_size=64,
            device="cpu",
            preprocessing={"mean": 0.5, "std": 0.5},
        )
        found.append(vit.explain(Subject(vit, pixels), "integrated_relevance", 2, steps=3).values)
    reference = np.mean([_by_hand(plain, pixels, (k + 0.5) / 3) for k in range(3)], axis=0)
    for values in found:
        np.testing.assert_allclose(values.ravel(), reference, rtol=1e-4, atol=1e-7)


def _into(torchvision: nn.Module, plain: nn.Module) -> None:
    """Give torchvision's model the weights of timm's."""
    theirs = torchvision.state_dict()
    mine = plain.state_dict()
    names = {
        "class_token": "cls_token",
        "conv_proj.": "patch_embed.proj.",
        "encoder.pos_embedding": "pos_embed",
        "encoder.ln.": "norm.",
        "heads.head.": "head.",
        ".self_attention.in_proj_": ".attn.qkv.",
        ".self_attention.out_proj.": ".attn.proj.",
        ".ln_1.": ".norm1.",
        ".ln_2.": ".norm2.",
        ".mlp.0.": ".mlp.fc1.",
        ".mlp.3.": ".mlp.fc2.",
        "encoder.layers.encoder_layer_": "blocks.",
    }
    for name, tensor in theirs.items():
        wanted = name
        for old, new in names.items():
            wanted = wanted.replace(old, new)
        tensor.copy_(mine[wanted])


def _by_hand(plain: nn.Module, pixels: Tensor, own: float) -> np.ndarray:
    """The same of a plain timm ViT, written out, ``(N,)``."""
    x = plain.patch_embed(pixels)
    x = torch.cat([plain.cls_token.expand(1, -1, -1), x], dim=1) + plain.pos_embed
    kept = []
    for block in plain.blocks:
        q, k, v = block.attn.qkv(block.norm1(x)).unflatten(2, (3, 2, 12)).permute(2, 0, 3, 1, 4)
        attention = (q @ k.mT / 12**0.5).softmax(-1)
        mixed = own * attention + (1 - own) / x.shape[1]
        mixed.retain_grad()
        kept.append((attention.detach()[0], mixed))
        x = x + block.attn.proj((mixed @ v).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm2(x))
    plain.head(plain.norm(x)[:, 0])[0, 2].backward()
    total = torch.eye(x.shape[1], dtype=torch.float64)
    for attention, mixed in kept:
        assert mixed.grad is not None
        total = total + (attention * mixed.grad[0]).clamp(min=0).mean(0) @ total
    return total[0, 1:].detach().numpy()


def test_can_be_followed_and_stopped(built: Callable[[str], Built]) -> None:
    vit = built("cls").vit
    told: list[tuple[int, int]] = []
    subject = Subject(vit, vit.pixels(picture()))
    vit.explain(
        subject, "integrated_relevance", 0, steps=10, progress=lambda *now: told.append(now)
    )
    assert told == [(4, 10), (8, 10), (10, 10)]

    def stop(done: int, steps: int) -> None:
        raise AttnlibError("stopped")

    with pytest.raises(AttnlibError, match="stopped"):
        vit.explain(subject, "integrated_relevance", 0, progress=stop)


def test_says_what_it_needs(built: Callable[[str], Built]) -> None:
    vit = built("cls").vit
    subject = Subject(vit, vit.pixels(picture()))
    with pytest.raises(AttnlibError, match="give a target"):
        METHODS["integrated_relevance"].compute(subject, None)
    with pytest.raises(AttnlibError, match="both are 3"):
        vit.attribute(picture(), "integrated_relevance_contrast", 3, against=3)
    with pytest.raises(AttnlibError, match="start_layer must be from 0 to 2, not 3"):
        vit.attribute(picture(), "integrated_relevance", 3, start_layer=3)
    with pytest.raises(AttnlibError, match="steps must be at least 1"):
        vit.attribute(picture(), "integrated_relevance", 3, steps=0)


def test_attention_outside_of_the_graph_is_refused() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = timm.create_model(
                "vit_tiny_patch16_224", img_size=64, depth=2, num_classes=3
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.detach())

    torch.manual_seed(0)
    vit = attnlib.load(
        Frozen().eval(), img_size=64, device="cpu", preprocessing={"mean": 0.5, "std": 0.5}
    )
    for parameter in vit.module.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(CaptureError, match="out of the graph"):
        vit.attribute(picture(), "integrated_relevance", 0)
