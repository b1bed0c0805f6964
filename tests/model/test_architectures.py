"""Architectures proposed for a file of weights, and the index that proposes them."""

from __future__ import annotations

from collections import Counter

import pytest
import timm
import torch

import attnlib
from attnlib.errors import ModelError
from attnlib.model import checkpoint
from attnlib.model.architectures import INDEX, candidates, index

SAMPLE = (
    "vit_tiny_patch16_224",
    "deit_small_distilled_patch16_224",
    "vit_small_patch14_reg4_dinov2",
    "swin_tiny_patch4_window7_224",
    "beit_base_patch16_224",
    "eva02_tiny_patch14_224",
    "convnext_tiny",
    "resnet18",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_the_index_is_that_of_the_models_themselves(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name)
    shapes = Counter("x".join(map(str, p.shape)) for p in model.parameters())
    listed = index()[name]
    assert not listed - shapes
    # Left out are few: classifier, positions, patches, and relative positions in each block.
    left = (shapes - listed).total()
    assert left <= 8 + len([n for n, _ in model.named_parameters() if "relative_position" in n])


def test_the_index_is_whole_and_small() -> None:
    assert set(timm.list_models()) == set(index())
    assert INDEX.stat().st_size < 1 << 20


@pytest.mark.parametrize(
    ("name", "options", "first"),
    [
        (
            "vit_tiny_patch16_224",
            {"num_classes": 7},
            {"vit_tiny_patch16_224", "deit_tiny_patch16_224"},
        ),
        ("vit_small_patch16_384", {}, {"vit_small_patch16_384"}),
        ("vit_small_patch14_reg4_dinov2", {}, {"vit_small_patch14_reg4_dinov2"}),
        ("deit_tiny_distilled_patch16_224", {}, {"deit_tiny_distilled_patch16_224"}),
        ("swin_tiny_patch4_window7_224", {"num_classes": 3}, {"swin_tiny_patch4_window7_224"}),
    ],
)
def test_the_architectures_that_fit_come_first(
    name: str, options: dict[str, int], first: set[str]
) -> None:
    state = timm.create_model(name, **options).state_dict()
    read = checkpoint.read({"state_dict": {f"module.{n}": t for n, t in state.items()}})
    found = candidates(read)
    assert {c.name for c in found[: len(first)]} == first
    assert all(c.fits and not c.options and c.share == 1 for c in found[: len(first)])
    assert all(c.differs for c in found if not c.fits)


def test_a_wrong_architecture_is_told_which_would_fit() -> None:
    state = timm.create_model("vit_small_patch16_384", num_classes=3).state_dict()
    with pytest.raises(
        ModelError, match=r"does not belong to vit_tiny.*vit_small_patch16_384"
    ) as e:
        attnlib.load("vit_tiny_patch16_224", checkpoint=state, device="cpu")
    assert "img_size" not in str(e.value)


def test_auto_takes_the_only_one_that_fits() -> None:
    state = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=3).state_dict()
    vit = attnlib.load("auto", checkpoint=state, device="cpu")
    assert vit.name == "deit_tiny_distilled_patch16_224"
    assert all(torch.equal(vit.module.state_dict()[n], t) for n, t in state.items())
    assert any("found by the weights" in note for note in vit.notes)


def test_auto_does_not_choose_among_several() -> None:
    state = timm.create_model("vit_tiny_patch16_224").state_dict()
    with pytest.raises(ModelError, match=r"vit_tiny_patch16_224, deit_tiny_patch16_224.*Say which"):
        attnlib.load("auto", checkpoint=state, device="cpu")


def test_auto_needs_a_checkpoint_that_something_fits() -> None:
    with pytest.raises(ModelError, match="give one"):
        attnlib.load("auto")
    with pytest.raises(ModelError, match="No architecture of timm fits"):
        attnlib.load("auto", checkpoint={"a.weight": torch.ones(3, 5)}, device="cpu")
