"""Files that nobody vouches for: nothing of them runs, none fills the memory, all are named."""

from __future__ import annotations

import builtins
import contextlib
import gzip
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save

import attnlib
from attnlib.errors import AttnlibError, ModelError
from attnlib.model import checkpoint

ARCHITECTURE = "vit_tiny_patch16_224"
PROTOCOL = b"\x80\x02"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return timm.create_model(ARCHITECTURE, img_size=32, depth=1, num_classes=3).state_dict()


def archive(program: bytes, **members: bytes) -> bytes:
    """A checkpoint in torch's format with a given pickle."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("x/data.pkl", program)
        made.writestr("x/byteorder", b"little")
        for name, data in members.items():
            made.writestr(f"x/data/{name.strip('_')}", data)
    return written.getvalue()


def saved(content: Any, **options: Any) -> bytes:
    written = io.BytesIO()
    torch.save(content, written, **options)
    return written.getvalue()


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *args: Any, state: Any = None) -> None:
        self.function, self.args, self.state = function, args, state

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.args, *([] if self.state is None else [self.state]))


HARMFUL = {
    "system": lambda mark: Call(os.system, f"touch {mark}"),
    "mkdir": lambda mark: Call(os.mkdir, str(mark)),
    "popen": lambda mark: Call(subprocess.Popen, ["touch", str(mark)]),
    "eval": lambda mark: Call(builtins.eval, f"open({str(mark)!r}, 'w')"),
    "exec": lambda mark: Call(builtins.exec, f"open({str(mark)!r}, 'w')"),
    "open": lambda mark: Call(open, str(mark), "w"),
    "import": lambda mark: Call(builtins.__import__, "antigravity"),
}


@pytest.mark.parametrize("kind", HARMFUL)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_file_that_would_act_is_refused_and_does_not(
    state: dict[str, torch.Tensor], tmp_path: Path, kind: str, old: bool
) -> None:
    mark = tmp_path / "executed"
    content = {"model": state, "deep": [{"hook": HARMFUL[kind](mark)}]}
    before = set(sys.modules)
    with pytest.raises(ModelError, match="would run code"):
        checkpoint.read(saved(content, _use_new_zipfile_serialization=not old))
    assert not mark.exists()
    assert "antigravity" not in set(sys.modules) - before


def test_unknown_calls_are_neither_made_nor_imported(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Also those that reach other functions by detours: they are set aside, and named."""
    inner = tmp_path / "inner.pth"
    torch.save({"inner": Call(os.mkdir, str(tmp_path / "executed"))}, inner)
    content = {
        "model": state,
        "getattr": Call(builtins.getattr, Call(dict), "__class__"),
        "nested": Call(torch.load, str(inner), state={"weights_only": False}),
        "partial": Call(np.fromfile, str(inner)),
        "class": Call(threading.Thread, None, print),
    }
    read = checkpoint.read(saved(content))
    assert read.tensors.keys() == state.keys()
    assert {"torch.serialization.load", "threading.Thread"} <= set(read.skipped)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "program",
    [
        # A module that does not exist, and one whose import would be seen.
        b"cthis.module\ndoes_not_exist\n)R.",
        b"cantigravity\nfly\n)R.",
        # BUILD: on a class, on a function of torch, with a __setstate__ of its own.
        b"ccollections\nOrderedDict\n}X\x06\x00\x00\x00update" + b"K\x01sb.",
        b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__kwdefaults__K\x01s\x86b.",
        b"ctorch\nTensor\n)\x81}X\x0c\x00\x00\x00__setstate__cos\nsystem\nsb.",
        # Instructions that make instances, or use codes for classes.
        b"(ios\nsystem\n.",
        b"(cos\nsystem\no.",
        b"\x82\x01.",
        # A stack that is not there, marks that are not there, memory that is not there.
        b"R.",
        b"t.",
        b"h\x07.",
        b"0.",
        b"}K\x01s.",
        b"K\x01K\x02K\x03s.",
        b"",
        b".",
    ],
)
@pytest.mark.parametrize("wrap", [archive, lambda program: program], ids=["zip", "bare"])
def test_programs_by_hand_end_in_words(program: bytes, wrap: Callable[[bytes], bytes]) -> None:
    reduce = torch._utils._rebuild_tensor_v2
    with pytest.raises(ModelError):
        checkpoint.read(wrap(PROTOCOL + program))
    assert reduce.__kwdefaults__ is None
    assert "antigravity" not in sys.modules


def tensor_program(size: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
    """``{"weight": _rebuild_tensor_v2(("storage", FloatStorage, "0", "cpu", 4), …)}``."""
    word = lambda text: b"X" + struct.pack("<I", len(text)) + text  # noqa: E731
    return b"".join(
        [
            PROTOCOL,
            b"}",
            word(b"a.weight"),
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            b"(" + word(b"storage") + b"ctorch\nFloatStorage\n" + word(b"0") + word(b"cpu"),
            b"K\x04tQ",
            offset,
            size,
            stride,
            b"\x89)tRs.",
        ]
    )


LARGE = b"\x8a\x05" + (2**33).to_bytes(5, "little")


def test_a_tensor_of_the_file_itself_is_read_by_that_program() -> None:
    data = torch.arange(4.0).numpy().tobytes()
    read = checkpoint.read(archive(tensor_program(b"K\x02K\x02\x86", b"K\x01K\x02\x86"), _0=data))
    assert torch.equal(read.tensors["a.weight"], torch.tensor([[0.0, 2], [1, 3]]))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        (LARGE + b"\x85", b"K\x01\x85", b"K\x00"),
        (LARGE + b"\x85", b"K\x00\x85", b"K\x00"),
        (b"K\x08\x85", b"K\x00\x85", b"K\x00"),
        (b"K\x04\x85", b"K\x02\x85", b"K\x00"),
        (b"K\x04\x85", b"K\x01\x85", b"K\x01"),
        (b"J\xff\xff\xff\xff\x85", b"K\x01\x85", b"K\x00"),
        (b"K\x04\x85", b"J\xff\xff\xff\xff\x85", b"K\x00"),
        (b"K\x02K\x02\x86", b"K\x01\x85", b"K\x00"),
        (b"X\x01\x00\x00\x004", b"K\x01\x85", b"K\x00"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(size: bytes, stride: bytes, offset: bytes) -> None:
    data = torch.arange(4.0).numpy().tobytes()
    with pytest.raises(ModelError):
        checkpoint.read(archive(tensor_program(size, stride, offset), _0=data))


def _bomb(members: int = 1) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x/data.pkl", tensor_program(LARGE + b"\x85", b"K\x01\x85"))
        made.writestr("x/data/0", bytes(1 << 26))
    return written.getvalue()


def _views(count: int = 4000) -> bytes:
    """Many tensors that share one storage: little in the file, much in memory."""
    base = torch.zeros(1 << 16)
    return saved({f"{i}.weight": base[:] for i in range(count)})


BOMBS = {
    "a huge tensor in a small file": archive(
        tensor_program(LARGE + b"\x85", b"K\x00\x85"), _0=bytes(16)
    ),
    "deflated zeros": _bomb(),
    "a long byte string": PROTOCOL + b"\x8e" + struct.pack("<Q", 1 << 35) + b"x.",
    "a place far out in memory": PROTOCOL + b"Nr\xff\xff\xff\x7f.",
    "a long number": PROTOCOL + b"\x8b\xff\xff\xff\x7f1.",
    "many views": _views(),
    "lists of lists": PROTOCOL + b"]q\x00" + b"(h\x00h\x00lq\x00" * 200 + b".",
    "nested lists": PROTOCOL + b"]" * 100_000 + b"a" * 99_999 + b".",
    "nested tuples as a key": PROTOCOL + b"}K\x01" + b"\x85" * 100_000 + b"K\x01s.",
    "a list within itself": PROTOCOL + b"]q\x00h\x00a.",
    "a dictionary within itself": PROTOCOL + b"}q\x00X\x05\x00\x00\x00modelh\x00s.",
    "a safetensors header": struct.pack("<Q", 1 << 40) + b"{}",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_takes_little_memory(kind: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ModelError):
            checkpoint.read(BOMBS[kind])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20


def test_arguments_cannot_ask_for_a_huge_model(state: dict[str, torch.Tensor]) -> None:
    asks = {
        "model": "eva02_tiny_patch14_224",
        "img_size": 10**6,
        "model_kwargs": {"depth": 10**9, "embed_dim": 10**9, "class_token": False},
    }
    with pytest.raises(ModelError):
        attnlib.load("auto", checkpoint={"model": state, "args": asks}, device="cpu")


def _other(name: str) -> bytes:
    if name == "keras":
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as made:
            made.writestr("config.json", b"{}")
            made.writestr("model.weights.h5", b"x")
        return written.getvalue()
    if name == "torchscript":
        written = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), written)
        return written.getvalue()
    if name == "npz":
        written = io.BytesIO()
        np.savez(written, a=np.ones(3))
        return written.getvalue()
    return {
        "h5": b"\x89HDF\r\n\x1a\n" + bytes(64),
        "onnx": b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(64),
        "gguf": b"GGUF" + bytes(64),
        "html": b"<!DOCTYPE html><html>Sign in</html>",
        "json": b'{"weight_map": {"a": "model-00001.safetensors"}}',
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n",
        "gzip": gzip.compress(b"weights"),
        "empty": b"",
        "noise": bytes(range(1, 200)),
    }[name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("keras", "Keras"),
        ("h5", "HDF5.*other names and shapes.*\nimport keras.*\n.*save_file"),
        ("onnx", "ONNX.*\nimport torch.*\n.*save_file"),
        ("torchscript", "TorchScript.*\nimport torch.*\n.*torch.jit.load"),
        ("npz", r"numpy archive.*\nimport timm.*load_pretrained.*\ntorch\.save"),
        ("gguf", "GGUF"),
        ("html", "web page"),
        ("json", "JSON"),
        ("lfs", "git lfs pull"),
        ("gzip", "gunzip"),
        ("empty", "is empty"),
        ("noise", "unknown kind"),
    ],
)
def test_other_files_are_refused_by_their_real_name(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / "best.pth"
    path.write_bytes(_other(name))
    for source in (path, path.read_bytes()):
        with pytest.raises(ModelError, match=says):
            attnlib.load(ARCHITECTURE, checkpoint=source)


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"model": m, "epoch": 3}])
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_pickled_model_is_refused_with_the_lines_that_export_it(
    wrap: Callable[[Any], Any], old: bool
) -> None:
    model = timm.create_model(ARCHITECTURE, img_size=32, depth=1)
    with pytest.raises(ModelError, match=r"VisionTransformer.*\nimport torch.*\n.*state_dict"):
        checkpoint.read(saved(wrap(model), _use_new_zipfile_serialization=not old))


def test_a_plain_pickle_is_refused_with_the_lines_that_help(state: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"written by pickle.*\n.*pickle.load.*\ntorch.save"):
        checkpoint.read(pickle.dumps(state))


@pytest.mark.parametrize("source", [3, None, object(), [1], torch.nn.Linear(2, 2), "\0", "."])
def test_what_is_no_file_ends_in_words(source: Any) -> None:
    with pytest.raises(ModelError):
        checkpoint.read(source)


def test_quantised_weights_are_refused_by_name(state: dict[str, torch.Tensor]) -> None:
    made = {n: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8) for n, t in state.items()}
    with pytest.raises(ModelError, match="quantised"):
        checkpoint.read(saved(made))


@pytest.mark.parametrize(
    "make", [saved, lambda s: saved(s, _use_new_zipfile_serialization=False), save]
)
def test_damaged_files_end_in_words(
    state: dict[str, torch.Tensor], make: Callable[[Any], bytes]
) -> None:
    """Cut short anywhere, or with bytes changed: refused, or loaded as what it still is."""
    small = {name: tensor[:2] for name, tensor in state.items() if "norm" in name}
    whole = make({name: tensor.contiguous() for name, tensor in small.items()})
    chance = random.Random(0)
    for _ in range(150):
        data = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.4 else whole)
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(AttnlibError):
            checkpoint.read(bytes(data))


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.Linear(3, 2),
        torch.nn.Identity(),
        torch.nn.LSTM(3, 2),
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, 2)),
        torch.nn.TransformerEncoderLayer(8, 2),
        torch.nn.Transformer(8, 2, 1, 1, 16),
    ],
    ids=lambda module: type(module).__name__,
)
def test_modules_of_all_kinds_end_in_words(module: torch.nn.Module) -> None:
    for options in ({}, {"img_size": 32}, {"img_size": 32, "transform": lambda image: image}):
        with pytest.raises(AttnlibError):
            attnlib.load(module, device="cpu", **options)


@pytest.mark.parametrize("asked", [{"depth": 10**6}, {"depths": (10**9, 1)}])
def test_more_layers_than_a_file_can_hold_are_not_built(asked: dict[str, Any]) -> None:
    state = timm.create_model(ARCHITECTURE, img_size=32, depth=1).state_dict()
    for content, options in (
        (state, {"model_args": asked}),
        ({"state_dict": state, "hyper_parameters": asked | {"img_size": 32}}, {}),
    ):
        began = time.process_time()
        with contextlib.suppress(AttnlibError):
            attnlib.load(ARCHITECTURE, checkpoint=content, device="cpu", **options)
        assert time.process_time() - began < 20
