"""What the inert objects of a pickle stand for: tensors, numbers, texts, tables. An allow-list."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnlib.model.checkpoint.pickles import Name, Reference, Thing

# Classes whose entries or fields are plain settings.
TABLES = {
    "argparse.Namespace",
    "types.SimpleNamespace",
    "collections.OrderedDict",
    "collections.defaultdict",
    "omegaconf.dictconfig.DictConfig",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "easydict.EasyDict",
    "addict.addict.Dict",
    "munch.Munch",
    "yacs.config.CfgNode",
    "ml_collections.config_dict.config_dict.ConfigDict",
}
LISTS = {
    "fastcore.foundation.L",
    "fastai.data.transforms.CategoryMap",
    "omegaconf.listconfig.ListConfig",
    "collections.deque",
}
# They call what they are given, or reach the machine: no training puts them into its weights.
_HARMFUL = re.compile(
    r"(os|nt|posix|subprocess|sys|shutil|socket|pty|runpy|importlib|commands|webbrowser|code"
    r"|ctypes|timeit|pdb|bdb|platform|asyncio|multiprocessing|pickle|torch\.hub)\..+"
    r"|(builtins|__builtin__)\.(eval|exec|execfile|compile|open|__import__|input|breakpoint)"
    r"|_?io\.(open|open_code|FileIO)"
)
_PLAIN = (str, int, float, bool, bytes)


def harmful(thing: Thing) -> bool:
    """Whether an object would do more on opening than come into being."""
    return _HARMFUL.fullmatch(thing.kind) is not None


def table(value: Any) -> Mapping[Any, Any] | None:
    """The entries of a dictionary or of an object that is one, or None."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, Thing):
        return None
    if value.entries:
        # Whatever its class is called: what was put into it as into a dictionary is data.
        return value.entries
    if value.kind not in TABLES:
        return None
    # Python 2 wrote an ordered dictionary as the list of its pairs.
    if value.kind == "collections.OrderedDict" and value.args and isinstance(value.args[0], list):
        pairs = [pair for pair in value.args[0] if isinstance(pair, list | tuple)]
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and isinstance(pair[0], str)}
    if isinstance(value.state, dict):
        content = value.state.get("_content", value.state.get("_fields", value.state))
        return content if isinstance(content, dict) else {}
    return {}


def sequence(value: Any) -> list[Any] | None:
    """The members of a list, a tuple or an object that is one, or None."""
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, Thing) and value.kind in LISTS:
        state = value.state if isinstance(value.state, dict) else {}
        content = value.items or state.get("items", state.get("_content", list(value.args[:1])))
        return list(content) if isinstance(content, list | tuple) else []
    return None


def scalar(value: Any) -> tuple[bool, Any]:
    """Whether a value is a plain one, and that value: numpy's, paths and enums included."""
    if value is None or isinstance(value, _PLAIN):
        return True, value
    if isinstance(value, np.generic):
        return True, value.item()
    if isinstance(value, Name):
        return True, value.path
    if not isinstance(value, Thing):
        return False, None
    kind, args = value.kind, value.args
    if re.fullmatch(r"pathlib(\._local)?\.\w*Path", kind):
        return True, "/".join(str(part) for part in args).replace("//", "/")
    if kind in _SCALARS and len(args) == 2:
        made, raw = _dtype(args[0]), _raw(args[1])
        return True, np.frombuffer(raw, made, count=1)[0].item()
    if kind in ("torch.device", "torch.torch.device") and args:
        return True, str(args[0])
    if kind == "builtins.getattr" and len(args) == 2 and isinstance(args[1], str):
        return True, args[1]
    # A setting of omegaconf keeps its value among its fields.
    if kind.startswith("omegaconf.nodes.") and isinstance(value.state, dict):
        return scalar(value.state.get("_val"))
    if kind.endswith(".InterpolationMode") and args:
        return True, args[0]
    return False, None


_NUMPY = ("numpy.core.multiarray.", "numpy._core.multiarray.")
_SCALARS = {f"{module}scalar" for module in _NUMPY}
_ARRAYS = {f"{module}_reconstruct" for module in _NUMPY}


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor that is still in the file.

    Attributes:
        source: the storage's key in the file, or the numbers themselves.
        dtype: of the numbers.
        offset, stride: in numbers, as torch counts them.
        shape: of the tensor.
    """

    source: str | Callable[[], bytes]
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that the tensor takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def tensor(self, storages: Callable[[str], Tensor]) -> Tensor:
        """The tensor itself, of shape ``shape``.

        Args:
            storages: key -> ``(bytes,)`` uint8 of that storage.

        Raises:
            RuntimeError, ValueError, KeyError: it does not lie inside its storage.
        """
        if math.prod(self.shape) == 0:
            return torch.empty(self.shape, dtype=self.dtype)
        raw = storages(self.source) if isinstance(self.source, str) else flat(self.source())
        numbers = raw.view(self.dtype)
        if math.prod(self.shape) > len(numbers):
            raise ValueError("a tensor is larger than its storage")
        return numbers.as_strided(self.shape, self.stride, self.offset)


def flat(raw: bytes) -> Tensor:
    """``(bytes,)`` uint8 of raw bytes, of which there is at least one."""
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8)


# What is called with a tensor first, and gives the same one.
_WRAPPERS = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
}


def stored(value: Any) -> Stored | None:
    """The tensor that an object of the pickle stands for, or None if it is no tensor.

    Raises:
        ValueError, TypeError, AttributeError: it is damaged.
    """
    if not isinstance(value, Thing):
        return None
    kind, args = value.kind, value.args
    if kind in _WRAPPERS:
        return stored(args[0])
    if kind in ("torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2"):
        return stored(Thing(args[0].path, tuple(args[2])))
    if kind in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"):
        key, dtype = _storage(args[0])
        if kind.endswith("v3"):
            dtype = _torch_dtype(args[6])
        return Stored(key, dtype, *_layout(*args[1:4]))
    if kind in _ARRAYS and isinstance(value.state, tuple) and len(value.state) == 5:
        _, shape, made, fortran, data = value.state
        # Texts and objects in an array are no tensor.
        return _array(shape, _dtype(made), bool(fortran), data) if _numeric(made) else None
    return None


def _array(shape: Any, made: np.dtype[Any], fortran: bool, data: Any) -> Stored:
    sizes = _whole(shape)
    strides = np.cumprod([1, *(sizes if fortran else sizes[::-1])])[: len(sizes)].tolist()
    native = made.newbyteorder("=")
    dtype = torch.from_numpy(np.zeros(1, native)).dtype

    def raw() -> bytes:
        return np.frombuffer(_raw(data), made).astype(native).tobytes()

    return Stored(raw, dtype, 0, sizes, tuple(strides if fortran else strides[::-1]))


def _layout(offset: Any, shape: Any, stride: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return _whole([offset])[0], _whole(shape), _whole(stride)


def _whole(numbers: Any) -> tuple[int, ...]:
    if isinstance(numbers, Thing) and numbers.kind == "torch.Size":
        numbers = numbers.args[0]
    if not isinstance(numbers, list | tuple) or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a tensor's shape is none")
    return tuple(numbers)


def _storage(value: Any) -> tuple[str, torch.dtype]:
    """Key and dtype of the storage that ``("storage", type, key, place, count, …)`` names."""
    if not isinstance(value, Reference) or value.content[0] != "storage":
        raise ValueError("a tensor has no storage")
    kind, key = value.content[1], value.content[2]
    if not isinstance(kind, Name) or not isinstance(key, str):
        raise ValueError("a tensor's storage has no name")
    if len(value.content) > 5 and value.content[5] is not None:
        raise ValueError("a storage is a view of another, as PyTorch wrote it before 0.4")
    return key, storage_dtype(kind)


def storage_dtype(kind: Name) -> torch.dtype:
    """The dtype of a storage's class: float32 of ``torch.FloatStorage``."""
    return _STORAGES[kind.path.rpartition(".")[2]]


_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}


_DTYPES = {str(value): value for value in vars(torch).values() if isinstance(value, torch.dtype)}


def _torch_dtype(value: Any) -> torch.dtype:
    if not isinstance(value, Name):
        raise ValueError("a tensor has no dtype")
    return _DTYPES[value.path]


def _dtype(value: Any) -> np.dtype[Any]:
    """The numpy dtype of numbers that a pickle describes."""
    if not _numeric(value):
        raise ValueError("an array holds no numbers")
    # Its state is (version, byte order, …).
    big = isinstance(value.state, tuple) and value.state[1:2] == (">",)
    return np.dtype(str(value.args[0])).newbyteorder(">" if big else "<")


def _numeric(value: Any) -> bool:
    code = value.args[0] if isinstance(value, Thing) and value.kind == "numpy.dtype" else None
    return isinstance(code, str) and re.fullmatch(r"[biuf][1248]", code) is not None


def _raw(value: Any) -> bytes:
    """The bytes of an array or scalar; pickles of protocol 2 write them as a text."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, Thing) and value.kind == "_codecs.encode":
        return str(value.args[0]).encode("latin1")
    raise ValueError("an array has no bytes")
