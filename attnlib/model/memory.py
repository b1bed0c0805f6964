"""What a model will take of the memory, counted before any of it is taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attnlib import settings
from attnlib.errors import TooLarge

# Of what is there: the rest is for images, results and other people.
SHARE: Final = 0.5
# Images that go through a model at a time.
BATCH: Final = 8
_CGROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


@dataclass(frozen=True)
class Need:
    """Bytes that a model takes.

    Attributes:
        weights: its parameters and buffers.
        activations: at the height of a pass: of one image with what its gradient needs, or of
            :data:`BATCH` images without, whichever is more; 0 where it could not be counted.
    """

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.weights + self.activations


def weights_of(module: nn.Module) -> int:
    """Bytes of the parameters and buffers, shared ones once."""
    held = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in held.values())


def needed(module: nn.Module, channels: int, size: tuple[int, int]) -> Need:
    """What a module on the meta device would take as a real one; nothing is allocated.

    Args:
        size: ``(height, width)`` of its images.
    """
    weights = weights_of(module)
    try:
        with torch.device("meta"):
            pixels = torch.empty(1, channels, *size)
            graph = _height(module, pixels, gradients=True)
            batch = BATCH * _height(module, pixels, gradients=False)
    except Exception:
        # What asks for the value of a number, say, has none here.
        return Need(weights, 0)
    return Need(weights, max(graph, batch))


def check(name: str, need: Need, device: torch.device | str = "cpu") -> None:
    """Refuse a model that takes more than there is for it.

    Raises:
        TooLarge: the message says how much it takes, how much there is, and the way out.
    """
    most = budget(device)
    if need.total <= most:
        return
    passes = f" and {_words(need.activations)} for a pass" if need.activations else ""
    raise TooLarge(
        f"{name} would take about {_words(need.total)} of memory ({_words(need.weights)} for its "
        f"weights{passes}), and {_words(most)} may be taken for a model here. Choose a smaller "
        "model, a smaller input size or fewer classes; whoever runs this server can raise "
        f"{settings.variable('model_bytes')}.",
        need.total,
    )


def budget(device: torch.device | str = "cpu") -> int:
    """Bytes that a model may take now: the setting, or a share of what is free; never more."""
    free = available(torch.device(device))
    said = settings.current().model_bytes
    return int(SHARE * free) if said is None else int(said)


def total() -> int:
    """Bytes that all models together may stay in: the setting, or a share of the machine's."""
    said = settings.current().model_bytes
    return int(SHARE * _ram()) if said is None else int(said)


def available(device: torch.device) -> int:
    """Bytes that are free now, on the device or within the limits of this process's container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    lines = _read("/proc/meminfo").splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail")] or found
    for limit, used in _CGROUPS:
        if (most := _read(limit).strip()).isdecimal() and (now := _read(used).strip()).isdecimal():
            found.append(max(0, int(most) - int(now)))
    return min(found)


def _ram() -> int:
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    found += [int(most) for limit, _ in _CGROUPS if (most := _read(limit).strip()).isdecimal()]
    return min(found)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _words(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def _height(module: nn.Module, pixels: Tensor, gradients: bool) -> int:
    """Bytes of all tensors that a pass holds at a time, at most."""
    live = _Live(module)
    with torch.set_grad_enabled(gradients), _Fused(), live:
        result: Any = module(pixels)
    del result
    return live.most


class _Fused(TorchFunctionMode):
    """Attention as fused kernels compute it: of the weights nothing is ever held."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3] if len(args) > 2 else (args[0], *_rest(args, kwargs))
            if query.shape[:-1] == value.shape[:-1]:
                # Holds the query, key and value for the gradient, as the kernel does.
                return query[..., : value.shape[-1]] * value + key[..., :1] * key[..., :1]
        return func(*args, **(kwargs or {}))


def _rest(args: Any, kwargs: Any) -> tuple[Tensor, Tensor]:
    return (*args[1:], *(kwargs[name] for name in ("key", "value")[len(args) - 1 :]))


class _Live(TorchDispatchMode):
    """Counts the storages that are alive.

    Attributes:
        most: bytes of all that were alive at a time.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.most = 0
        self._now = 0
        held = (*module.parameters(), *module.buffers())
        self._own = {tensor.untyped_storage()._cdata for tensor in held}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return made

    def _see(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        known = self._alive.get(key)
        if key in self._own or (known is not None and not known[0].expired()):
            return
        # The address of one that is gone may be another's now.
        self._now += storage.nbytes() - (known[1] if known is not None else 0)
        self._alive[key] = (StorageWeakRef(storage), storage.nbytes())
        if self._now > self.most:
            for gone in [key for key, (one, _) in self._alive.items() if one.expired()]:
                self._now -= self._alive.pop(gone)[1]
            self.most = max(self.most, self._now)
