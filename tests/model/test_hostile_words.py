"""What a person writes beside weights: no word opens a file of the machine, none is half read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

import attnlib
from attnlib.errors import AttnlibError, ModelError
from attnlib.model import asked, checkpoint, huggingface, network, pretrained
from attnlib.model.checkpoint.arguments import class_names

ARCHITECTURE = "vit_tiny_patch16_224"


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("kind", ["F8_E8M0", "F4", "F6_E2M3", "F6_E3M2"])
def test_packed_numbers_are_refused_by_their_kind(kind: str) -> None:
    data = safetensors({"w": {"dtype": kind, "shape": [8], "data_offsets": [0, 8]}}, bytes(8))
    with pytest.raises(ModelError, match=rf"{kind}.*Save the weights in floating point"):
        checkpoint.read(data)


@pytest.mark.parametrize(
    "header",
    [{"w": 1}, {"w": {"dtype": 3}}, {"__metadata__": [1]}, {"w": {}}],
)
def test_a_damaged_header_is_called_one(header: Any) -> None:
    with pytest.raises(ModelError, match="header is damaged"):
        checkpoint.read(safetensors(header))


def test_a_header_larger_than_any_models_is_refused_unread() -> None:
    text = b"{" + b" " * (17 << 20) + b"}"
    with pytest.raises(ModelError, match="larger than 16 MB"):
        checkpoint.read(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize("key", ["²", "9" * 5000, "१", "-1", "1" * 10], ids=range(5))
def test_an_index_that_is_no_plain_number_names_no_class(key: str) -> None:
    assert class_names({"id2label": {"0": "cat", key: "dog"}}) is None
    layers = {"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}
    weights = checkpoint.read({"id2label": {"0": "cat", key: "dog"}, "model": layers})
    assert weights.class_names is None


@pytest.mark.parametrize("number", [10**5000, -1, 2], ids=["long", "negative", "beyond"])
def test_neither_does_a_number_that_is_no_index(number: int) -> None:
    assert class_names({"class_to_idx": {"cat": 0, "dog": number}}) is None
    assert class_names({"class_to_idx": {"cat": 0, "dog": 1}}) == (("cat", "dog"), "class_to_idx")


@pytest.mark.parametrize(
    "option", ["checkpoint_path", "pretrained_cfg", "pretrained", "cache_dir", "scriptable"]
)
def test_options_name_no_file_to_read(option: str, tmp_path: Path) -> None:
    there = tmp_path / "there.pth"
    there.write_bytes(b"x")
    weights = {"w": torch.ones(3)}
    said = []
    for path in (there, tmp_path / "missing.pth"):
        with pytest.raises(ModelError, match=f"{option} is no option") as refused:
            attnlib.load(ARCHITECTURE, checkpoint=weights, model_args={option: str(path)})
        said.append(str(refused.value))
        with pytest.raises(ModelError, match=f"{option} is no option"):
            attnlib.load(ARCHITECTURE, pretrained=False, model_args={option: str(path)})
    assert said[0] == said[1]


def test_options_of_architectures_are_still_taken() -> None:
    assert asked.options({"global_pool": "avg", "num_heads": 6}, 3, 64) == {
        "global_pool": "avg", "num_heads": 6, "num_classes": 3, "img_size": 64
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["/etc", "../secrets", "local-dir:/etc", "hf-hub:x/y", "file:///etc", "a/b/c", "a b/c",
     "x" * 99,
     "http://example.org/x", "org/..", "", "~/x", "s3://bucket/x", "C:\\x"],
)  # fmt: skip
def test_what_is_no_id_is_never_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(*args: Any, **options: Any) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface.huggingface_hub, "hf_hub_download", asks)
    with pytest.raises(ModelError, match="no id on the hub"):
        attnlib.load(f"hf-hub:{name}", pretrained=True)


@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224.augreg_in21k", "gpt2", "o/n@main"])
def test_ids_of_the_hub_are_ids(name: str) -> None:
    assert huggingface.is_id(name)


def test_an_adapters_base_does_not_tell_what_this_machine_holds(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    said = []
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match="names a folder") as refused:
            adapter = {"base_model_name_or_path": str(place)}
            pretrained.adapted(transformers, "org/adapter", adapter, False, {})
        said.append(str(refused.value).replace(str(place), "PLACE"))
    assert said[0] == said[1]


def test_names_of_architectures_are_names_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "online", lambda: False)
    weights = save({"w": torch.ones(3)})
    for name in ("local-dir:/etc", "hf-hub:org/name", "hf_hub:org/name", "file:/etc", "/etc"):
        with pytest.raises(AttnlibError):
            attnlib.load(name, checkpoint=weights)
