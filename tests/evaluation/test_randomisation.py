"""Cascading randomisation: every weight once, from the top, on a copy."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import timm
import torch
import torchvision
import transformers
from PIL import Image
from torch import nn

import attnlib
from attnlib.evaluation import agreement, randomisation
from attnlib.evaluation.randomisation import cascade, depends, stages


def shuffled_like(vit: attnlib.Vit, count: int, seed: int) -> dict[str, torch.Tensor]:
    """The weights after ``count`` stages, written out for the demo model."""
    layers = [f"blocks.{i}." for i in reversed(range(6))]
    parts: list[tuple[str, ...]] = [("norm.", "head."), *((layer,) for layer in layers)]
    parts.append(("cls_token", "pos_embed", "patch_embed."))
    state = {k: v.detach().clone() for k, v in vit.module.state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    for part in parts[:count]:
        for name in state:
            if name.startswith(part):
                order = torch.randperm(state[name].numel(), generator=generator)
                state[name] = state[name].flatten()[order].reshape(state[name].shape)
    return state


def test_the_cascade_on_the_demo_model(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    picture = pictures[0]
    before = {k: v.clone() for k, v in vit.module.state_dict().items()}
    original = vit.attribute(picture, "relevance", 3, start_layer=1)
    found = list(cascade(vit, picture, original, seed=5))
    assert [s.name for s in found] == [
        "head",
        *(f"blocks.{i}" for i in reversed(range(6))),
        "embedding",
    ]
    for count, stage in enumerate(found, start=1):
        module = attnlib.model.demo.build()
        module.load_state_dict(shuffled_like(vit, count, 5))
        config = {"transform": vit.transform, "class_names": vit.class_names}
        other = attnlib.load(module, device="cpu", img_size=32, **config)
        expected = other.attribute(picture, "relevance", 3, start_layer=1)
        np.testing.assert_allclose(stage.heat.values, expected.values, rtol=1e-4, atol=1e-7)
        assert stage.heat.target == 3 and stage.heat.options == original.options
        rank = scipy.stats.spearmanr(original.values, expected.values, axis=None)[0]
        assert stage.spearman == pytest.approx(rank, abs=1e-3)
        assert stage.overlap == agreement.overlap([original.values, stage.heat.values])[0, 1]
    assert depends(original, found)
    assert abs(found[-1].spearman) < 0.9
    for name, value in vit.module.state_dict().items():
        assert torch.equal(value, before[name])
    again = list(cascade(vit, picture, original, seed=5))
    other_seed = list(cascade(vit, picture, original, seed=6))
    for one, same, other_map in zip(found, again, other_seed, strict=True):
        np.testing.assert_array_equal(one.heat.values, same.heat.values)
        assert not np.array_equal(one.heat.values, other_map.heat.values)


@pytest.mark.parametrize(
    ("method", "expected"),
    [("random", False), ("uniform", False), ("rollout", True), ("raw", True), ("occlusion", True)],
)
def test_depends(
    method: str, expected: bool, vit: attnlib.Vit, pictures: list[Image.Image]
) -> None:
    original = vit.attribute(pictures[1], method)
    found = list(cascade(vit, pictures[1], original))
    assert depends(original, found) is expected
    if method == "rollout":  # attention does not know of the head
        np.testing.assert_array_equal(found[0].heat.values, original.values)
        assert found[0].spearman == pytest.approx(1) and not depends(original, found[:1])
    if method == "uniform":
        assert all(np.isnan(stage.spearman) for stage in found)


def test_the_copy_lives_no_longer_than_the_iteration(
    vit: attnlib.Vit, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[weakref.ref[nn.Module]] = []
    around = attnlib.Vit.around

    def noted(self: attnlib.Vit, module: nn.Module) -> attnlib.Vit:
        assert module is not vit.module
        copies.append(weakref.ref(module))
        return around(self, module)

    monkeypatch.setattr(attnlib.Vit, "around", noted)
    heat = vit.attribute(pictures[0], "rollout")
    kept = list(cascade(vit, pictures[0], heat))
    stopped = cascade(vit, pictures[0], heat)
    assert len(copies) == 1  # nothing is copied before the first stage is asked for
    next(stopped)
    stopped.close()
    gc.collect()
    assert len(copies) == 2 and [copy() for copy in copies] == [None, None]
    assert kept[0].heat.method == "rollout"


def test_shuffling_keeps_the_entries() -> None:
    before = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    after = nn.Parameter(before.clone())
    randomisation.shuffle(after, torch.Generator().manual_seed(1))
    assert after.shape == before.shape and not torch.equal(after, before)
    assert torch.equal(after.detach().flatten().sort()[0], before.flatten().sort()[0])


# -- any model ---------------------------------------------------------------------------------


def small(name: str, **options: Any) -> Callable[[], attnlib.Vit]:
    def make() -> attnlib.Vit:
        module = timm.create_model(name, pretrained=False, num_classes=5, **options)
        return attnlib.load(module, device="cpu")

    return make


def from_torchvision() -> attnlib.Vit:
    module = torchvision.models.VisionTransformer(32, 16, 3, 2, 24, 48, num_classes=5)
    return attnlib.load(module, device="cpu", img_size=32, transform=picture_transform)


def from_transformers() -> attnlib.Vit:
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=32,
        num_labels=5,
    )
    module = transformers.ViTForImageClassification(config)
    return attnlib.load(module, device="cpu", img_size=32, transform=picture_transform)


def picture_transform(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((32, 32)), np.float32) / 255).permute(2, 0, 1)


vits = {"img_size": 32, "embed_dim": 24, "num_heads": 2}
MODELS: dict[str, tuple[Callable[[], attnlib.Vit], list[str]]] = {
    "one block": (small("vit_tiny_patch16_224", depth=1, **vits), ["blocks.0"]),
    "distilled": (
        small("deit_tiny_distilled_patch16_224", depth=2, **vits),
        ["blocks.1", "blocks.0"],
    ),
    "pool": (
        small("vit_base_patch16_siglip_224", depth=2, **vits),
        ["attn_pool", "blocks.1", "blocks.0"],
    ),
    "windows": (
        small(
            "swin_tiny_patch4_window7_224",
            img_size=32,
            window_size=4,
            embed_dim=16,
            depths=(1, 2),
            num_heads=(2, 2),
        ),
        ["layers.1.blocks.1", "layers.1.blocks.0", "layers.0"],
    ),
    "class attention": (
        small("cait_xxs24_224", depth=2, **vits),
        ["blocks_token_only.1", "blocks_token_only.0", "blocks.1", "blocks.0"],
    ),
    "torchvision": (
        from_torchvision,
        [f"encoder.layers.encoder_layer_{i}" for i in (2, 1, 0)],
    ),
    "transformers": (from_transformers, []),
}


@pytest.mark.parametrize("key", MODELS)
def test_stages_are_a_partition_of_all_weights(key: str) -> None:
    make, layers = MODELS[key]
    vit = make()
    found = stages(vit)
    if key == "transformers":
        prefix = next(n for n, _ in vit.module.named_modules() if n.endswith(".0")).rpartition(".")
        layers = [f"{prefix[0]}.{i}" for i in (2, 1, 0)]
    assert list(found) == ["head", *layers, "embedding"]
    every = [name for names in found.values() for name in names]
    assert sorted(every) == sorted(name for name, _ in vit.module.named_parameters())
    head = [m for m in vit.module.modules() if isinstance(m, nn.Linear) and m.out_features == 5]
    weights = dict(vit.module.named_parameters())
    assert all(any(weights[name] is m.weight for name in found["head"]) for m in head)
    for layer in layers:
        inside = {name for name in every if name.startswith(f"{layer}.")}
        assert inside and inside <= set(found[layer])
    # What lies between two layers is no embedding.
    order = [name for name, _ in vit.module.named_parameters()]
    lowest = min(i for i, name in enumerate(order) if name in found[layers[-1]])
    assert all(order.index(name) < lowest for name in found["embedding"])
    first = next(m for m in vit.module.modules() if isinstance(m, nn.Conv2d))
    assert any(weights[name] is first.weight for name in found["embedding"])


@pytest.mark.parametrize("key", ["pool", "windows", "transformers"])
def test_the_cascade_runs_on_other_models(key: str, noise: Image.Image) -> None:
    vit = MODELS[key][0]()
    original = vit.attribute(noise, "occlusion", 0)
    found = list(cascade(vit, noise, original))
    assert [s.name for s in found] == list(stages(vit))
    assert all(np.isfinite(s.heat.values).all() for s in found) and depends(original, found)
