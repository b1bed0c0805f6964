"""Checkpoints as training scripts write them: where the weights are, and what else is said."""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import attnlib
from attnlib.errors import ModelError
from attnlib.model import checkpoint

ARCHITECTURE = "vit_tiny_patch16_224"
SMALL = {"img_size": 64, "depth": 2, "num_classes": 7}
State = dict[str, torch.Tensor]


class Kind(torch.Tensor):
    """A class of tensors that only a training script knows."""


class Sampler:
    """Something of a training script that no other program has."""

    def __init__(self) -> None:
        self.seed = 3


def make(seed: int = 0, **options: Any) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = timm.create_model(ARCHITECTURE, **{**SMALL, **options}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    return make()


def load(source: Any, **options: Any) -> attnlib.Vit:
    options = {"model_args": {"depth": 2}, "device": "cpu", **options}
    return attnlib.load(options.pop("architecture", ARCHITECTURE), checkpoint=source, **options)


def assert_same(vit: attnlib.Vit, state: State) -> None:
    loaded = vit.module.state_dict()
    assert loaded.keys() == state.keys()
    for name in state:
        assert torch.equal(loaded[name], state[name].float()), name


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


OTHER = {name: tensor + 1 for name, tensor in make().state_dict().items()}
LAYOUTS: dict[str, Callable[[State], Any]] = {
    "plain": lambda s: s,
    "ordered": lambda s: collections.OrderedDict(s),
    "data-parallel": lambda s: prefixed("module.", s),
    "compiled inside data-parallel": lambda s: prefixed("module._orig_mod.", s),
    "a prefix nobody knows": lambda s: prefixed("my.own.tower.", s),
    "averaged": lambda s: {"n_averaged": torch.tensor(3), **prefixed("module.", s)},
    "lightning": lambda s: {
        "state_dict": {**prefixed("model.", s), "criterion.weight": torch.ones(7)},
        "epoch": 3,
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(4)}}}],
    },
    "dino": lambda s: {
        "student": prefixed("module.backbone.", OTHER),
        "teacher": {**prefixed("backbone.", s), "head.mlp.0.weight": torch.ones(4, 4)},
    },
    "timm": lambda s: {"state_dict": OTHER, "state_dict_ema": s, "metric": 0.9, "arch": "x"},
    "ema entry": lambda s: {"ema": s, "step": 3},
    "ema beside, in one dict": lambda s: {**prefixed("net.", OTHER), **prefixed("ema.module.", s)},
    **{
        place: lambda s, place=place: {place: s, "optimizer": {"state": {}}}
        for place in ("model", "model_state_dict", "net", "weights", "params", "module")
    },
    "wrapped inside": lambda s: {
        "_fsdp_wrapped_module."
        + name.replace(".attn.", "._orig_mod._checkpoint_wrapped_module.attn."): tensor
        for name, tensor in s.items()
    },
    "in a tuple": lambda s: (s, {"epoch": 3}),
    "two floors": lambda s: {"checkpoint": {"model": s}},
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_weights_are_found_wherever_they_are(
    trained: torch.nn.Module, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "last.ckpt"
    state = trained.state_dict()
    torch.save(LAYOUTS[kind](state), path, _use_new_zipfile_serialization=len(kind) % 2 == 0)
    assert_same(load(path), state)


def test_bytes_and_objects_are_read_like_files(trained: torch.nn.Module, tmp_path: Path) -> None:
    state = trained.state_dict()
    path = tmp_path / "model.bin"
    torch.save({"model": state}, path)
    assert_same(load(path.read_bytes()), state)
    assert_same(load({"model": state, "epoch": 3}), state)
    # The name says otherwise than the bytes.
    save_file(state, tmp_path / "model.pth")
    assert_same(load(tmp_path / "model.pth"), state)
    assert_same(load((tmp_path / "model.pth").read_bytes()), state)


def test_what_was_left_out_is_named(trained: torch.nn.Module) -> None:
    state = {
        "n_averaged": torch.tensor(3),
        **prefixed("module.", trained.state_dict()),
        "module.mask_token": torch.ones(1, 1, 192),
        "module.aux_head.weight": torch.ones(3, 192),
        "module.blocks.0.attn.index": torch.arange(4),
        "loss.weight": torch.ones(7),
    }
    vit = load(state)
    assert_same(vit, trained.state_dict())
    said = next(note for note in vit.notes if note.startswith("Left out"))
    for name in ("n_averaged", "mask_token", "aux_head.weight", "attn.index", "loss.weight"):
        assert name in said


def test_a_head_that_is_kept_apart_is_named(trained: torch.nn.Module) -> None:
    state = trained.state_dict()
    body = {n: t for n, t in state.items() if not n.startswith("head.")}
    apart = {"weight": state["head.weight"]}
    vit = load({"backbone": body, "projector": apart})
    assert any("not taken: “projector”" in note for note in vit.notes)
    assert any("no classifier" in note and "num_classes=7" in note for note in vit.notes)
    taken = load({"backbone": body, "linear": apart})
    assert torch.equal(taken.module.head.weight, state["head.weight"])
    assert any("classifier is “linear”" in note for note in taken.notes)


@pytest.mark.parametrize(
    ("content", "choice", "number"),
    [
        (lambda a, b: {"state_dict": a, "state_dict_ema": b}, None, 1),
        (lambda a, b: {"state_dict": a, "state_dict_ema": b}, "ema", 1),
        (lambda a, b: {"state_dict": a, "state_dict_ema": b}, "state_dict", 0),
        (lambda a, b: {"student": a, "teacher": b}, "student", 0),
        (lambda a, b: {**prefixed("model.", a), **prefixed("ema_model.", b)}, "model", 0),
        (lambda a, b: {**prefixed("model.", a), **prefixed("ema_model.", b)}, "ema", 1),
    ],
)
def test_one_of_several_can_be_chosen(
    trained: torch.nn.Module, content: Callable[..., Any], choice: str | None, number: int
) -> None:
    states = trained.state_dict(), OTHER
    vit = load(content(*states), weights=choice)
    assert_same(vit, states[number])
    assert any("can be chosen instead" in note for note in vit.notes)


def test_a_choice_that_is_not_there_names_those_that_are(trained: torch.nn.Module) -> None:
    both = {"student": trained.state_dict(), "teacher": OTHER}
    with pytest.raises(ModelError, match=r"'average'.*'teacher'.*'student'"):
        load(both, weights="average")
    with pytest.raises(ModelError, match="give one"):
        attnlib.load(ARCHITECTURE, weights="ema", pretrained=False)


def test_arguments_names_and_settings_come_along(tmp_path: Path, noise: Image.Image) -> None:
    """They are read from objects of allowed classes; others are named, and none is made."""
    model = make(global_pool="avg")
    arguments = argparse.Namespace(
        model=ARCHITECTURE,
        gp="avg",
        img_size=np.int64(64),
        mean=[0.1, 0.2, 0.3],
        std=(0.4, 0.5, 0.6),
        crop_pct=np.float32(0.75),
        output=pathlib.PurePosixPath("runs/one"),
        sampler=Sampler(),
        model_kwargs={"depth": 2},
    )
    path = tmp_path / "best.pth"
    torch.save(
        {
            "model": model.state_dict(),
            "args": arguments,
            "class_to_idx": {f"kind {i}": i for i in reversed(range(7))},
        },
        path,
    )
    read = checkpoint.read(path)
    assert read.arguments["output"] == "runs/one"
    assert read.arguments["img_size"] == 64
    assert read.skipped == (f"{__name__}.Sampler",)
    vit = attnlib.load("auto", checkpoint=path, device="cpu")
    assert vit.name == ARCHITECTURE
    assert vit.class_names == tuple(f"kind {i}" for i in range(7))
    assert (vit.preparation.mean, vit.preparation.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    said = " ".join(vit.notes)
    assert "global_pool=avg" in said and "Sampler" in said
    with torch.inference_mode():
        expected = model(vit.pixels(noise))[0].numpy()
    np.testing.assert_allclose(vit.inspect(noise).logits, expected, atol=1e-6)
    # What a person says counts more.
    over = attnlib.load("auto", checkpoint=path, device="cpu", model_args={"num_heads": 6})
    assert over.module.blocks[0].attn.num_heads == 6
    assert over.module.global_pool == "avg"


def test_the_metadata_of_safetensors_is_read_like_other_checkpoints(tmp_path: Path) -> None:
    """It holds texts alone: plain ones, or JSON."""
    model = make(global_pool="avg")
    config = {"model": ARCHITECTURE, "global_pool": "avg", "mean": [0.1, 0.2, 0.3]}
    metadata = {
        "format": "pt",
        "config": json.dumps(config),
        "img_size": "64",
        "depth": "[2",
        "class_names": json.dumps([f"kind {i}" for i in range(7)]),
    }
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path, metadata=metadata)
    for source in (path, path.read_bytes()):
        vit = load(source, architecture="auto")
        assert (vit.name, vit.module.global_pool, vit.size) == (ARCHITECTURE, "avg", (64, 64))
        assert vit.class_names == tuple(f"kind {i}" for i in range(7))
        assert vit.preparation.mean == (0.1, 0.2, 0.3)
        assert_same(vit, model.state_dict())
    save_file(model.state_dict(), path, metadata={"model": ARCHITECTURE, "gp": "avg"})
    assert load(path, architecture="auto").module.global_pool == "avg"


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ({"classes": ["b", "a"]}, ("b", "a")),
        ({"hyper_parameters": {"id2label": {0: "b", 1: "a"}}}, ("b", "a")),
        ({"label2id": {"a": 1, "b": 0}}, ("b", "a")),
        ({"idx_to_class": {"1": "a", "0": "b"}}, ("b", "a")),
        ({"classes": {"a": 1, "b": 2}}, None),
        ({"labels": torch.ones(2)}, None),
    ],
)
def test_names_of_classes_in_a_checkpoint(entry: dict[str, Any], names: Any) -> None:
    assert checkpoint.read({"model": OTHER, **entry}).class_names == names


def test_names_that_are_not_as_many_as_outputs_are_left_aside(trained: torch.nn.Module) -> None:
    vit = load({"model": trained.state_dict(), "classes": ["cat", "dog"]})
    assert vit.class_names == tuple(f"class {i}" for i in range(7))
    assert any("2 names for 7 outputs" in note for note in vit.notes)


def test_an_argument_that_the_weights_contradict_gives_way(trained: torch.nn.Module) -> None:
    vit = load({"model": trained.state_dict(), "args": {"img_size": 224, "class_token": False}})
    assert vit.size == (64, 64)
    assert_same(vit, trained.state_dict())


@pytest.mark.parametrize(
    "options",
    [
        {"global_pool": "avg"},
        {"global_pool": "map"},
        {"global_pool": "avg", "class_token": False},
        {"reg_tokens": 4},
        {"reg_tokens": 4, "no_embed_class": True},
        {"no_embed_class": True},
        {"patch_size": 8},
        {"patch_size": 8, "img_size": 48},
        {"qk_norm": True},
        {"init_values": 1e-5},
        {"pre_norm": True},
        {"qkv_bias": False},
        {"mlp_ratio": 2.0},
        {"num_classes": 1},
        {"img_size": 96, "patch_size": 32},
    ],
    ids=str,
)
def test_options_that_shapes_reveal(options: dict[str, Any]) -> None:
    model = make(**options)
    vit = load(model.state_dict())
    assert_same(vit, model.state_dict())
    images = torch.randn(2, 3, *vit.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(vit.module(images), model(images))
    said = next(note for note in vit.notes if note.startswith("Told by the shapes"))
    for option in options.keys() - {"no_embed_class"}:
        assert option in said


def test_options_that_shapes_cannot_reveal_are_named(trained: torch.nn.Module) -> None:
    said = " ".join(load(trained.state_dict()).notes)
    assert "num_heads: 3" in said and "global_pool: token" in said and "GELU" in said
    vit = load(trained.state_dict(), model_args={"depth": 2, "num_heads": 6})
    assert "num_heads:" not in " ".join(vit.notes)
    other = make(num_heads=6)
    other.load_state_dict(trained.state_dict())
    images = torch.ones(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(vit.module(images), other(images))


def test_another_input_size_resizes_positions_as_timm_does(trained: torch.nn.Module) -> None:
    vit = load(trained.state_dict(), img_size=96)
    expected = make(img_size=96)
    own = trained.state_dict()
    state = {
        **own,
        "pos_embed": timm.layers.resample_abs_pos_embed(own["pos_embed"], [6, 6]),
    }
    expected.load_state_dict(state)
    images = torch.ones(1, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(vit.module(images), expected(images))
    assert any("Resized" in note and "pos_embed" in note for note in vit.notes)


def test_positions_that_are_no_square_need_the_size(noise: Image.Image) -> None:
    model = make(img_size=(32, 96))
    with pytest.raises(ModelError, match=r"pos_embed is \(1, 13, 192\)"):
        load(model.state_dict())
    vit = load(model.state_dict(), img_size=(32, 96))
    assert_same(vit, model.state_dict())
    with torch.inference_mode():
        expected = model(vit.pixels(noise))[0].numpy()
    np.testing.assert_allclose(vit.inspect(noise).logits, expected, atol=1e-5)


def test_windows_of_swin_are_told_or_refused_not_interpolated() -> None:
    """Only a person who names a size means to have positions computed anew."""
    options = {"depths": (1, 1, 1, 1), "num_classes": 5}
    said = {"architecture": "swin_tiny_patch4_window7_224", "model_args": {"depths": (1, 1, 1, 1)}}
    model = timm.create_model("swin_tiny_patch4_window7_224", window_size=6, **options)
    vit = load(model.state_dict(), **said)
    assert_same(vit, model.state_dict())
    assert any("window_size=6" in note for note in vit.notes)
    mixed = timm.create_model("swin_s3_tiny_224", **options)
    with pytest.raises(ModelError, match=r"input size or window.*layers.2"):
        load(mixed.state_dict(), **said)


def test_other_ways_of_keeping_numbers_are_read(tmp_path: Path) -> None:
    """Parameters, parts and other orders of storages, tied weights, numpy's arrays, subclasses."""
    base = torch.arange(24.0).reshape(4, 6)
    expected = {
        "a.weight": torch.nn.Parameter(base),
        "b.weight": base.T[1:3],
        "c.weight": base,
        "d.weight": torch.arange(3, dtype=torch.float64).as_subclass(Kind),
        "e.weight": torch.tensor(3.0),
        "f.weight": torch.empty(0, 4),
        "g.weight": torch.ones(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "h.weight": torch.tensor([True, False]),
    }
    arrays = {
        "i.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "j.weight": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "k.weight": np.arange(3, dtype=">f4"),
    }
    path = tmp_path / "w.pth"
    for options in ({}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}):
        torch.save({**expected, **arrays}, path, **options)
        read = checkpoint.read(path).tensors
        assert read.keys() == {*expected, *arrays}
        for name, tensor in expected.items():
            assert read[name].dtype == tensor.dtype
            assert torch.equal(read[name], tensor.as_subclass(torch.Tensor)), name
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name].numpy(), array)


def test_what_is_no_number_beside_the_weights_is_left_aside(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    beside = {"labels": np.array(["cat", "dog"]), "things": np.array([None, {}], dtype=object)}
    torch.save({"model": OTHER, **beside, "rng_state": np.random.get_state()}, path)
    read = checkpoint.read(path)
    assert read.tensors.keys() == OTHER.keys()
    assert any("_reconstruct" in kind for kind in read.skipped)


def test_heads_are_taken_from_arguments_only_where_they_agree(trained: torch.nn.Module) -> None:
    state = trained.state_dict()
    agreed = load({"model": state, "config": {"encoder": {"num_heads": 6}}})
    assert agreed.module.blocks[0].attn.num_heads == 6
    assert any("num_heads=6" in note for note in agreed.notes)
    apart = {"encoder": {"num_heads": 6}, "decoder": {"num_heads": 8}}
    vit = load({"model": state, "config": apart})
    assert vit.module.blocks[0].attn.num_heads == 3
    assert any("num_heads: 3" in note for note in vit.notes)


def test_half_and_quarter_precision_are_exact(trained: torch.nn.Module, tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2):
        state = {n: t.to(dtype).contiguous() for n, t in trained.state_dict().items()}
        save_file(state, tmp_path / "w.safetensors")
        torch.save(state, tmp_path / "w.pt")
        for name in ("w.safetensors", "w.pt"):
            read = checkpoint.read(tmp_path / name).tensors
            assert all(torch.equal(read[n].double(), t.double()) for n, t in state.items())
    assert_same(load(tmp_path / "w.pt"), state)


def test_whole_numbers_for_weights_are_refused(trained: torch.nn.Module) -> None:
    state = {name: (10 * t).to(torch.int8) for name, t in trained.state_dict().items()}
    with pytest.raises(ModelError, match=r"quantised.*int8"):
        load(state)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": 3}, r"unknown to the model \(blocks\.2"),
        ({"depth": 1}, r"missing \(blocks\.1"),
        ({"embed_dim": 96}, "another shape"),
    ],
)
def test_another_model_is_refused_and_not_blamed_on_its_size(
    change: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        load(make(**change).state_dict())
    assert "img_size" not in str(caught.value)


def test_weights_that_would_be_ignored_in_the_blocks_are_refused(
    trained: torch.nn.Module,
) -> None:
    state = {**trained.state_dict(), "blocks.0.attn.qkv.lora_A.weight": torch.ones(4, 192)}
    with pytest.raises(ModelError, match="lora_A"):
        load(state)


def test_a_backbone_without_a_classifier_gives_features(trained: torch.nn.Module) -> None:
    state = {n: t for n, t in trained.state_dict().items() if not n.startswith("head.")}
    vit = load(state)
    assert not vit.classifies
    assert any("no classifier" in note for note in vit.notes)
