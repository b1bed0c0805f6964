"""Classifiers that stand in a file beside the model they belong to."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import attnlib

NAME = "vit_tiny_patch16_224"
WIDTH = 192
State = dict[str, Tensor]


class Own(nn.Module):
    """A backbone of timm with a classifier of one's own, as people write it."""

    def __init__(self, name: str, head: nn.Module, inner: str = "backbone") -> None:
        super().__init__()
        self.inner, self.name = inner, name
        body = timm.create_model(NAME, img_size=64, depth=2, num_classes=0)
        self.add_module(inner, body)
        self.add_module(name, head)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = getattr(self, self.name)(getattr(self, self.inner)(x))
        return logits


def filled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return module.eval()


def own(name: str = "fc", head: nn.Module | None = None, **options: Any) -> nn.Module:
    return filled(Own(name, head or nn.Linear(WIDTH, 3), **options))


def load(state: Any, **options: Any) -> attnlib.Vit:
    said = {"model_args": {"depth": 2}, "device": "cpu", **options}
    return attnlib.load(NAME, checkpoint=state, **said)


def assert_logits(vit: attnlib.Vit, model: nn.Module) -> None:
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = model(pixels), vit.module(pixels)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "model.", "module.net."])
@pytest.mark.parametrize("name", ["head", "fc", "classifier", "cls_head", "linear"])
def test_the_only_classifier_beside_a_backbone_is_taken(name: str, prefix: str) -> None:
    model = own(name)
    state = {prefix + key: tensor for key, tensor in model.state_dict().items()}
    vit = load({"state_dict": state})
    assert vit.outputs.kind == "classes"
    assert_logits(vit, model)
    assert any(f"“{prefix}{name}” (3 × 192)" in note for note in vit.notes)
    assert not any(note.startswith("Left out") for note in vit.notes)


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.Dropout(0.5), nn.Linear(WIDTH, 3)),
        nn.Linear(WIDTH, 3, bias=False),
        nn.ModuleDict({"fc": nn.Linear(WIDTH, 3)}),
    ],
    ids=["behind dropout", "without bias", "of mmpretrain"],
)
def test_a_classifier_that_is_one_layer_of_a_head(head: nn.Module) -> None:
    model = own("head", head)
    if isinstance(head, nn.ModuleDict):
        head.forward = head["fc"].forward  # type: ignore[method-assign]
    assert_logits(load(model.state_dict()), model)


def test_half_precision_and_a_class_that_adds_its_own_layer() -> None:
    """Names of the body then stand beside the layer's."""
    model = own("fc", inner="body").bfloat16()
    state = {name.removeprefix("body."): tensor for name, tensor in model.state_dict().items()}
    vit = load(state)
    assert_logits(vit, model.float())
    assert not any(note.startswith("Left out") for note in vit.notes)


def test_a_classifier_in_another_place_of_the_file() -> None:
    model = own("classifier")
    state = model.state_dict()
    body = {n.removeprefix("backbone."): t for n, t in state.items() if n.startswith("backbone.")}
    head = {n.removeprefix("classifier."): t for n, t in state.items() if n not in body}
    head = {"weight": head["weight"], "bias": head["bias"]}
    vit = load({"backbone": body, "classifier": head})
    assert_logits(vit, model)
    assert not any("not taken" in note for note in vit.notes)


def test_an_averages_own_classifier_is_taken_with_it() -> None:
    model, other = own(), own()
    for parameter in other.parameters():
        nn.init.ones_(parameter)
    state = {f"model.{name}": tensor for name, tensor in other.state_dict().items()}
    state |= {f"ema.{name}": tensor for name, tensor in model.state_dict().items()}
    assert_logits(load(state), model)


def test_what_may_be_a_classifier_is_named_and_can_be_said() -> None:
    model = own("projector", nn.Linear(WIDTH, 5))
    state = model.state_dict()
    vit = load(state)
    assert vit.outputs.kind == "features"
    note = next(note for note in vit.notes if "no classifier" in note)
    assert "“projector” (5 × 192)" in note and "num_classes=5" in note
    assert_logits(load(state, num_classes=5), model)


def test_of_two_classifiers_the_one_of_so_many_classes_is_taken() -> None:
    model = own("age", nn.Linear(WIDTH, 4))
    state = {**model.state_dict(), "sex.weight": torch.ones(2, WIDTH), "sex.bias": torch.ones(2)}
    vit = load(state)
    assert vit.outputs.kind == "features"
    note = next(note for note in vit.notes if "no classifier" in note)
    assert "num_classes=4" in note and "num_classes=2" in note
    assert_logits(load(state, num_classes=4), model)


@pytest.mark.parametrize(
    "head",
    [
        nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, 3)),
        nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3)),
        nn.Sequential(nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, 3)),
    ],
    ids=["two layers", "a norm", "of fastai"],
)
def test_a_head_that_the_architecture_does_not_have_is_no_part_of_it(head: nn.Module) -> None:
    """One of its layers alone would be a classifier that nobody trained."""
    model = own("head", head)
    vit = load(model.state_dict())
    assert vit.outputs.kind == "features"
    note = next(note for note in vit.notes if "no classifier" in note)
    assert "several layers" in note and "load the whole module" in note
    body = model.backbone
    assert isinstance(body, nn.Module)
    assert_logits(vit, body)


def test_no_classes_leaves_the_classifier_out() -> None:
    model = own()
    vit = load(model.state_dict(), num_classes=0)
    assert vit.outputs.kind == "features"
    assert any(note.startswith("Left out") and "fc.weight" in note for note in vit.notes)
    assert not any("The classifier is" in note for note in vit.notes)


def test_the_architectures_own_classifier_comes_first() -> None:
    model = own("head")
    aux = {"head_aux.weight": torch.ones(3, WIDTH), "head_aux.bias": torch.ones(3)}
    assert_logits(load({**model.state_dict(), **aux}), model)


def test_dinov2_with_a_linear_classifier() -> None:
    """An architecture that has none by itself."""
    name, options = "vit_small_patch14_dinov2", {"img_size": 56, "depth": 2}
    model = filled(timm.create_model(name, num_classes=3, **options))
    state = {
        n.replace("head.", "classifier.") if n.startswith("head.") else f"backbone.{n}": t
        for n, t in model.state_dict().items()
    }
    vit = attnlib.load(name, checkpoint=state, model_args={"depth": 2}, img_size=56, device="cpu")
    pixels = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(vit.module(pixels), model(pixels), rtol=1e-5, atol=1e-6)
