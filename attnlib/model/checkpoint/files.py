"""From the bytes of a file to what it holds: judged by the bytes, never by the name."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file
from torch import Tensor

from attnlib.errors import ModelError
from attnlib.model.checkpoint import pickles
from attnlib.model.checkpoint.meanings import flat, sequence, storage_dtype
from attnlib.model.checkpoint.pickles import Name, Reference, Thing

# The number that every checkpoint of PyTorch before 1.6 begins with, itself a pickle.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_SAVE = (
    "import torch, safetensors.torch\n"
    "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)
_TORCHSCRIPT = (
    "import torch, safetensors.torch\n"
    "safetensors.torch.save_file(torch.jit.load('FILE', 'cpu').state_dict(), 'model.safetensors')"
)
_KERAS = (
    "import keras, numpy\n"
    "model = keras.saving.load_model('FILE'); numpy.savez('weights.npz', *model.get_weights())"
)
# How other files begin: what they are, and the two lines that help.
_BEGINNINGS: dict[bytes, tuple[str, str]] = {
    b"\x89HDF\r\n\x1a\n": ("a Keras or HDF5 file", _KERAS),
    b"GGUF": ("a GGUF file of llama.cpp", _SAVE),
    b"TFL3": ("a TensorFlow Lite model", _KERAS),
    b"\x93NUMPY": ("one numpy array", _SAVE),
    b"\x1f\x8b": ("compressed (gzip)", "gunzip FILE"),
    b"BZh": ("compressed (bzip2)", "bunzip2 FILE"),
    b"\xfd7zXZ\x00": ("compressed (xz)", "unxz FILE"),
    b"\x28\xb5\x2f\xfd": ("compressed (zstd)", "unzstd FILE"),
    b"version https://git-lfs": ("a Git LFS pointer, not the file it points to", "git lfs pull"),
    b"\xff\xd8\xff": ("an image", _SAVE),
    b"\x89PNG": ("an image", _SAVE),
    b"%PDF": ("a PDF document", _SAVE),
}
# The version of its format, then the name of the program that wrote it or another known field.
_ONNX = re.compile(rb"\x08[\x01-\x1f][\x12\x1a\x22\x3a\x42]")


@dataclass(frozen=True)
class Content:
    """What a file holds, its tensors still in it.

    Attributes:
        name: of the file, for messages.
        root: plain values, :class:`attnlib.model.checkpoint.pickles.Thing` and tensors.
        storages: key -> ``(bytes,)`` uint8 of that storage.
        size: bytes of the file.
        metadata: what the file says about itself beside what it holds.
    """

    name: str
    root: Any
    storages: Callable[[str], Tensor]
    size: int
    metadata: Mapping[str, Any] = field(default_factory=dict)


def open_file(source: str | Path | bytes) -> Content:
    """The content of a file or of the bytes of an upload.

    Raises:
        ModelError: no such file, a damaged one, or one of another kind.
    """
    name = "The upload" if isinstance(source, bytes) else Path(source).name
    try:
        if isinstance(source, bytes):
            return _content(io.BytesIO(source), name, len(source), source)
        path = Path(source)
        if path.is_dir():
            raise ModelError(
                f"{name} is a folder, not a checkpoint: give the file with the weights in it."
            )
        if not path.is_file():
            raise ModelError(f"There is no checkpoint file {str(source)!r}.")
        with path.open("rb") as stream:
            return _content(stream, name, path.stat().st_size, path)
    except ModelError:
        raise
    except SafetensorError as error:
        raise ModelError(
            f"{name} is not a readable safetensors file: {error}. It is damaged or was not written "
            "to its end: copy or save it again."
        ) from error
    except MemoryError as error:
        raise ModelError(f"{name} does not fit into memory.") from error
    except Exception as error:
        # A damaged or hostile file can fail in any way; for a person these are one.
        raise ModelError(
            f"{name} is not a readable PyTorch checkpoint ({type(error).__name__}: {error}): it is "
            "damaged or was not written to its end. Copy or save it again."
        ) from error


def _content(stream: BinaryIO, name: str, size: int, source: Path | bytes) -> Content:
    head = stream.read(64)
    stream.seek(0)
    if _is_safetensors(head, size):
        tensors = load_bytes(source) if isinstance(source, bytes) else load_file(source)
        return Content(name, tensors, nowhere, size, _metadata(stream))
    if head.startswith(b"PK"):
        return _zip(source, name, size)
    if head.startswith(_OLD_TORCH):
        return _old(stream, name, size)
    if head[:1] == b"\x80":
        return Content(name, pickles.read(stream), nowhere, size)
    if _ONNX.match(head):
        raise ModelError(_other(name, "an ONNX model", _SAVE))
    for beginning, (what, lines) in _BEGINNINGS.items():
        if head.startswith(beginning):
            raise ModelError(_other(name, what, lines))
    if size == 0:
        raise ModelError(f"{name} is empty: copy or save it again.")
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        what = "a web page, saved instead of the file: download it again, logged in"
    elif text.startswith((b"{", b"[")):
        what = "a text (JSON), not weights: give the file of weights beside it"
    elif size < 16:
        what = "too short to hold weights: copy or save it again"
    else:
        what = f"of an unknown kind. Save the weights with:\n{_SAVE}"
    kind = "safetensors" if name.endswith(".safetensors") else "safetensors or PyTorch"
    raise ModelError(f"{name} is not a readable {kind} file; it is {what}.")


def nowhere(key: str) -> Tensor:
    """The storages of what has none beside itself."""
    raise KeyError(key)


def _other(name: str, what: str, lines: str) -> str:
    return (
        f"{name} is {what}, not a checkpoint of weights. Where it can be opened, run:\n"
        f"{lines.replace('FILE', name)}"
    )


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether the bytes begin with the length of a JSON header and that header."""
    return len(head) > 8 and head[8:9] == b"{" and head[:4] != b"PK\x03\x04" and head[7] == 0


def _metadata(stream: BinaryIO) -> dict[str, Any]:
    """The ``__metadata__`` of a safetensors file: texts, which are JSON where they hold more."""
    (length,) = struct.unpack("<Q", stream.read(8))
    texts = json.loads(stream.read(length)).get("__metadata__") or {}
    found: dict[str, Any] = dict(texts)
    for key, text in texts.items():
        with suppress(ValueError, RecursionError):
            found[key] = json.loads(text)
    return found


def _zip(source: Path | bytes, name: str, size: int) -> Content:
    def opened() -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)

    with opened() as archive:
        members = {member.filename: member for member in archive.infolist()}
        inner = {path.partition("/")[2]: member for path, member in members.items()}
        if "constants.pkl" in inner or any(path.startswith("code/") for path in inner):
            raise ModelError(_other(name, "a TorchScript program", _TORCHSCRIPT))
        if "model.weights.h5" in members or "keras_metadata.pb" in inner:
            raise ModelError(_other(name, "a Keras model", _KERAS))
        if any(path.startswith(("archive_format", "models/")) for path in inner):
            raise ModelError(_other(name, "an exported program (torch.export)", _SAVE))
        if members and all(path.endswith(".npy") for path in members):
            raise ModelError(_other(name, "a numpy archive (.npz)", _SAVE))
        if "data.pkl" not in inner:
            raise ModelError(
                f"{name} is a zip archive but no checkpoint of PyTorch: unpack it and give the "
                "file of weights that is inside."
            )
        compressed = any(m.compress_type != zipfile.ZIP_STORED for m in members.values())
        if compressed or sum(member.file_size for member in members.values()) > size:
            raise ModelError(
                f"{name} unpacks to more than it holds, which no checkpoint of PyTorch does: save "
                "it again with torch.save."
            )
        if "byteorder" in inner and archive.read(inner["byteorder"]) != b"little":
            raise ModelError(
                f"{name} was written on a big-endian machine: save it there as safetensors, which "
                "is the same everywhere."
            )
        root = pickles.read(io.BytesIO(archive.read(inner["data.pkl"])))

    @cache
    def storage(key: str) -> Tensor:
        with opened() as archive:
            return flat(archive.read(inner[f"data/{key}"]))

    return Content(name, root, storage, size)


def _old(stream: BinaryIO, name: str, size: int) -> Content:
    """A checkpoint as PyTorch wrote it before 1.6: pickles, then the numbers one after another."""
    magic, protocol, machine, root, keys = (pickles.read(stream) for _ in range(5))
    del magic, protocol
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ModelError(f"{name} was written on a big-endian machine: save it as safetensors.")
    sizes = _item_sizes(root)
    found: dict[str, Tensor] = {}
    for key in sequence(keys) or []:
        (count,) = struct.unpack("<q", stream.read(8))
        length = count * sizes[key]
        raw = stream.read(length) if 0 <= length <= size else b""
        if len(raw) != length:
            raise ValueError("it ends in the middle of a tensor")
        if raw:
            found[key] = flat(raw)
    return Content(name, root, found.__getitem__, size)


def _item_sizes(root: Any) -> dict[str, int]:
    """Key -> bytes of one number, of each storage that the pickle names."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Reference):
            kind, key = value.content[1], value.content[2]
            if isinstance(kind, Name) and isinstance(key, str):
                sizes[key] = storage_dtype(kind).itemsize
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, Thing):
            waiting.extend([*value.args, value.state, *value.items, *value.entries.values()])
    return sizes
