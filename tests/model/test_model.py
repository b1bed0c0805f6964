"""Loading models: what is taken, and how what does not fit is refused."""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import attnlib
from attnlib.errors import AttnlibError, LabelError, ModelError

ARCHITECTURE = "vit_tiny_patch16_224"
SMALL = {"img_size": 32, "num_classes": 3}


class Bomb:
    """A pickle that would run code on opening."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(ARCHITECTURE, **SMALL).eval()


def load(path: Path, **options: object) -> attnlib.Vit:
    settings = {"img_size": 32, "device": "cpu", **options}
    return attnlib.load(ARCHITECTURE, checkpoint=path, **settings)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {f"_orig_mod.{name}": value for name, value in state.items()},
    ],
    ids=["plain", "lightning-like", "data-parallel", "compiled"],
)
def test_checkpoints_as_training_scripts_write_them(
    trained: torch.nn.Module, tmp_path: Path, noise: Image.Image, wrap: Callable[[dict], dict]
) -> None:
    path = tmp_path / "best.pth"
    torch.save(wrap(trained.state_dict()), path)
    vit = load(path, class_names=["cat", "dog", "fox"])
    with torch.inference_mode():
        expected = trained(vit.pixels(noise))[0].numpy()
    np.testing.assert_array_equal(vit.inspect(noise).logits, expected)
    assert vit.class_names == ("cat", "dog", "fox")


def test_the_number_of_classes_is_read_off_the_checkpoint(
    trained: torch.nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "best.safetensors"
    save_file(trained.state_dict(), path)
    assert load(path).class_names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("kind", ["txt", "json"])
def test_class_names_from_a_file(trained: torch.nn.Module, tmp_path: Path, kind: str) -> None:
    path, names = tmp_path / "best.safetensors", tmp_path / f"names.{kind}"
    save_file(trained.state_dict(), path)
    listed = ["cat", "dog", "fox"]
    names.write_text(json.dumps(listed) if kind == "json" else "\n".join(listed))
    assert load(path, class_names=names).class_names == tuple(listed)


def _truncated(state: dict, path: Path) -> None:
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:100])


def _html(state: dict, path: Path) -> None:
    path.write_text("<html>not found</html>")


def _not_finite(state: dict, path: Path) -> None:
    save_file({**state, "norm.bias": torch.full_like(state["norm.bias"], float("nan"))}, path)


def _other_architecture(state: dict, path: Path) -> None:
    save_file(timm.create_model("vit_small_patch16_224", **SMALL).state_dict(), path)


def _empty(state: dict, path: Path) -> None:
    torch.save({"epoch": 3}, path)


def _code(state: dict, path: Path) -> None:
    torch.save({"state_dict": state, "hook": Bomb(path.parent / "executed")}, path)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("w.safetensors", _truncated, "not a readable safetensors"),
        ("w.safetensors", _html, "not a readable safetensors"),
        ("w.pth", _html, "w.pth"),
        ("w.safetensors", _not_finite, "not finite"),
        ("w.safetensors", _other_architecture, "does not belong to vit_tiny"),
        ("w.pth", _empty, "no weights"),
        ("w.pth", _code, "would run code"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_bad_checkpoints_are_refused_with_a_reason(
    trained: torch.nn.Module,
    tmp_path: Path,
    name: str,
    write: Callable[[dict, Path], None],
    says: str,
) -> None:
    path = tmp_path / name
    write(trained.state_dict(), path)
    with pytest.raises(ModelError, match=says):
        load(path)
    assert not (tmp_path / "executed").exists(), "code from the checkpoint has run"


def test_class_names_must_be_as_many_as_classes(trained: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    save_file(trained.state_dict(), path)
    with pytest.raises(LabelError, match=r"2.*3"):
        load(path, class_names=["cat", "dog"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": "vit_tinny_patch16_224"}, "Did you mean.*vit_tiny_patch16_224"),
        ({"source": "demo", "device": "tpu9"}, "not available"),
        ({"source": "demo", "precision": "int3"}, "precision must be one of"),
        ({"source": ARCHITECTURE, "checkpoint": "nowhere.safetensors"}, "no checkpoint file"),
        ({"source": ARCHITECTURE, "pretrained": False, "img_size": 0}, "positive|could not"),
        ({"source": "resnet10t", "pretrained": False}, "no attention"),
    ],
)
def test_wishes_that_cannot_be_met(options: dict[str, object], says: str) -> None:
    with pytest.raises(AttnlibError, match=says):
        attnlib.load(**options)


def test_without_a_network_it_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(urllib.request, "getproxies", dict)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *a, **k: None)
    for name in (ARCHITECTURE, "hf-hub:timm/some_model"):
        with pytest.raises(ModelError, match=r"could not be fetched.*Without a network") as caught:
            attnlib.load(name)
        assert "demo" in str(caught.value)


def test_a_hub_that_fails_midway_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    build = timm.create_model

    def broken(*args: Any, **kwargs: Any) -> torch.nn.Module:
        if kwargs.get("pretrained"):
            raise OSError("connection reset")
        return build(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: [])
    monkeypatch.setattr(timm, "create_model", broken)
    with pytest.raises(ModelError, match=r"could not be fetched \(OSError\).*Without a network"):
        attnlib.load(ARCHITECTURE)


def test_imagenet_names_only_where_somebody_says_so(noise: Image.Image) -> None:
    vit = attnlib.load(ARCHITECTURE, pretrained=False, img_size=32, device="cpu")
    assert (vit.class_names[0], vit.class_names[999]) == ("class 0", "class 999")
    assert "as many classes as ImageNet-1k" in vit.names.question
    vit = attnlib.load(
        ARCHITECTURE, pretrained=False, img_size=32, device="cpu", class_names="imagenet"
    )
    assert vit.class_names[0].startswith("tench")
    assert vit.class_names[999].startswith("toilet tissue")
    assert vit.names.question == ""
    assert vit.inspect(noise).probabilities.shape == (1000,)
    with pytest.raises(LabelError, match="None of ImageNet's label sets has 7 classes"):
        attnlib.load(
            ARCHITECTURE, pretrained=False, num_classes=7, img_size=32, class_names="imagenet"
        )


def test_a_ready_module_needs_to_say_how_images_are_prepared(trained: torch.nn.Module) -> None:
    vit = attnlib.load(trained, device="cpu")
    assert vit.size == (32, 32)
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Flatten())
    with pytest.raises(ModelError, match=r"transform|img_size"):
        attnlib.load(plain, device="cpu")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"checkpoint": "weights.pth"}, "checkpoint"),
        ({"checkpoint": {}}, "checkpoint"),
        ({"num_classes": 3}, "num_classes"),
        ({"pretrained": True}, "pretrained"),
        ({"pretrained": False}, "pretrained"),
        ({"num_classes": 3, "pretrained": False}, "num_classes and pretrained"),
    ],
)
def test_what_a_ready_model_would_ignore_is_refused(
    trained: torch.nn.Module, given: dict[str, object], named: str
) -> None:
    for source, what in ((trained, "A ready module"), ("demo", "The demo model")):
        with pytest.raises(ModelError) as caught:
            attnlib.load(source, device="cpu", **given)
        message = str(caught.value)
        assert message.startswith(f"{what} is used as it is, so {named} would change nothing")
        assert ("load_state_dict" in message) == (source != "demo")
