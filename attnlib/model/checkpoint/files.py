"""From the bytes of a file to what it holds: judged by the bytes, never by the name."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import load_file
from torch import Tensor

from attnlib.errors import ModelError, brief
from attnlib.model.checkpoint import pickles
from attnlib.model.checkpoint.headers import metadata
from attnlib.model.checkpoint.meanings import flat, sequence, storage_dtype
from attnlib.model.checkpoint.others import beginning, other
from attnlib.model.checkpoint.pickles import Name, Reference, Thing

# The number that every checkpoint of PyTorch before 1.6 begins with, itself a pickle.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


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
            f"{name} is not a readable safetensors file: {brief(error)}. It is damaged "
            "or was not written to its end: copy or save it again."
        ) from error
    except MemoryError as error:
        raise ModelError(f"{name} does not fit into memory.") from error
    except Exception as error:
        # A damaged or hostile file can fail in any way; for a person these are one.
        raise ModelError(
            f"{name} is not a readable PyTorch checkpoint ({type(error).__name__}: "
            f"{brief(error)}). It is damaged or was not written to its end: copy or save it again."
        ) from error


def _content(stream: BinaryIO, name: str, size: int, source: Path | bytes) -> Content:
    head = stream.read(64)
    stream.seek(0)
    if _is_safetensors(head, size):
        about = metadata(stream, name)
        tensors = load_bytes(source) if isinstance(source, bytes) else load_file(source)
        return Content(name, tensors, nowhere, size, about)
    if head.startswith(b"PK"):
        return _zip(source, name, size)
    if head.startswith(_OLD_TORCH):
        return _old(stream, name, size)
    if head[:1] == b"\x80":
        return Content(name, pickles.read(stream), nowhere, size)
    raise ModelError(beginning(name, head, size))


def nowhere(key: str) -> Tensor:
    """The storages of what has none beside itself."""
    raise KeyError(key)


def _is_safetensors(head: bytes, size: int) -> bool:
    """Whether the bytes begin with the length of a JSON header and that header."""
    return len(head) > 8 and head[8:9] == b"{" and head[:4] != b"PK\x03\x04" and head[7] == 0


def _zip(source: Path | bytes, name: str, size: int) -> Content:
    def opened() -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source)

    with opened() as archive:
        members = {member.filename: member for member in archive.infolist()}
        inner = {path.partition("/")[2]: member for path, member in members.items()}
        if "constants.pkl" in inner or any(path.startswith("code/") for path in inner):
            raise ModelError(other(name, "TorchScript"))
        if "model.weights.h5" in members or "keras_metadata.pb" in inner:
            raise ModelError(other(name, "Keras"))
        if any(path.startswith(("archive_format", "models/")) for path in inner):
            raise ModelError(other(name, "export"))
        if members and all(path.endswith(".npy") for path in members):
            raise ModelError(other(name, "numpy"))
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
