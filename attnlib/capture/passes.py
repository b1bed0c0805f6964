"""The one place through which every forward pass goes: device, precision, admission."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Literal

import torch
from torch import Tensor, nn

from attnlib import settings
from attnlib.capture.admission import Admission, asker
from attnlib.capture.mode import Capture, Observer
from attnlib.errors import AttnlibError, ModelError, OutOfMemory

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")


@cache
def _admission() -> Admission:
    """A busy host collapses when every session runs its own multi-threaded pass; they queue here.

    Raises:
        SettingsError: the environment asks for none, for which every pass would wait for ever.
    """
    return Admission(settings.current().concurrent_passes)


@dataclass
class Traffic:
    """How many forward passes there are: that wait, that run, that have ended."""

    waiting: int = 0
    running: int = 0
    ended: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def step(self, *, waiting: int = 0, running: int = 0, ended: int = 0) -> None:
        """Count on, from any thread."""
        with self._lock:
            self.waiting += waiting
            self.running += running
            self.ended += ended


TRAFFIC = Traffic()
# Whether this thread holds a place already: one that waited for a second would wait for ever.
_HELD = threading.local()


def choose_device(device: str = "auto") -> torch.device:
    """``"auto"`` is CUDA, else MPS, else CPU.

    Raises:
        ModelError: the device is unknown or not present.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The device {device!r} is not available here. Choose one of: {', '.join(devices())}."
        ) from error
    return chosen


def devices() -> list[str]:
    """Names of the devices present, best first."""
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + found
    return found


@contextmanager
def admitted() -> Iterator[None]:
    """Hold one of the process's places for a forward pass; memory errors become a message.

    People get them in turn, see :mod:`attnlib.capture.admission`: hold one for a pass, not for
    many.

    Raises:
        OutOfMemory: the device ran out of memory; what it had cached is released first.
    """
    if getattr(_HELD, "place", False):
        yield
        return
    with _place():
        _HELD.place = True
        try:
            yield
        except RuntimeError as error:
            if not is_memory(error):
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise OutOfMemory(
                "The device ran out of memory. Use a smaller batch, a smaller image size or "
                "model, half precision, or the CPU."
            ) from error
        finally:
            _HELD.place = False


@contextmanager
def _place() -> Iterator[None]:
    """Wait for a place, and count."""
    with ExitStack() as held:
        TRAFFIC.step(waiting=1)
        try:
            held.enter_context(_admission().place(asker()))
        finally:
            TRAFFIC.step(waiting=-1)
        TRAFFIC.step(running=1)
        try:
            yield
        finally:
            TRAFFIC.step(running=-1, ended=1)


def is_memory(error: Exception) -> bool:
    """Whether it says that the device ran out of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate" in str(error).lower()


def place_of(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Where a module's numbers are, and of which type; the CPU and float32 where it has none."""
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def forward(
    module: nn.Module,
    pixels: Tensor,
    observe: Observer | None = None,
    *,
    precision: Precision = "float32",
    classifier: Tensor | None = None,
    graph: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """One pass of ``pixels`` ``(B, C, h, w)``, already on the module's device.

    The caller decides about gradients and holds :func:`admitted`; ``graph`` is as in
    :class:`attnlib.capture.mode.Capture`.

    Returns:
        Logits ``(B, C)`` and, if the model applied ``classifier`` (the weight of its last linear
        layer), the embedding ``(B, D)`` that it was applied to.

    Raises:
        ModelError: the model does not run on images of this size, or returns no logits.
    """
    if observe is None:
        return logits_of(_output(module, pixels, precision), len(pixels)), None
    with Capture(module, observe, classifier, graph=graph) as capture:
        output = _output(module, pixels, precision)
    return logits_of(output, len(pixels)), capture.embedding


def _output(module: nn.Module, pixels: Tensor, precision: Precision) -> object:
    try:
        with autocast(pixels.device, precision):
            return module(pixels)
    except AttnlibError:
        raise
    except Exception as error:
        # A module is other people's code: whatever it raises is one situation to the person.
        if is_memory(error):
            raise
        height, width = pixels.shape[-2:]
        text = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise ModelError(
            f"The model does not run on an image of {height} x {width} pixels: {text}."
        ) from error


def logits_of(output: object, batch: int) -> Tensor:
    """The logits ``(batch, L)`` in what timm, torchvision and transformers models return.

    Raises:
        ModelError: there are none in it.
    """
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list) and output:
        output = output[0]
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"The model returns {shape}, not logits of shape (batch, classes). Give a model with "
            "a classification head, or one that pools its tokens."
        )
    if output.shape[0] != batch or output.shape[1] < 1 or not output.is_floating_point():
        raise ModelError(
            f"The model returns {tuple(output.shape)} of {output.dtype} for {batch} images, not "
            "one row of logits each."
        )
    return output
