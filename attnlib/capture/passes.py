"""The one place through which every forward pass goes: device, precision, admission."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from attnlib.capture.mode import Capture, Observer
from attnlib.errors import AttnlibError, ModelError, OutOfMemory

Precision = Literal["float32", "bfloat16", "float16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")


def _places() -> int:
    """How many forward passes may run at a time.

    Raises:
        AttnlibError: the environment asks for none, for which every pass would wait for ever.
    """
    wanted = os.environ.get("ATTNLIB_CONCURRENT_PASSES", "1")
    if not wanted.strip().isdecimal() or int(wanted) < 1:
        raise AttnlibError(
            "ATTNLIB_CONCURRENT_PASSES is the number of forward passes at a time: a whole number "
            f"of at least 1, not {wanted!r}. Unset it for 1."
        )
    return int(wanted)


# A busy host collapses when every session runs its own multi-threaded pass; passes queue here.
_ADMISSION = threading.BoundedSemaphore(_places())


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

    Raises:
        OutOfMemory: the device ran out of memory; what it had cached is released first.
    """
    with _ADMISSION:
        try:
            yield
        except RuntimeError as error:
            text = str(error).lower()
            if not isinstance(error, torch.OutOfMemoryError) and "can't allocate" not in text:
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            raise OutOfMemory(
                "The device ran out of memory. Use a smaller batch, a smaller image size or "
                "model, half precision, or the CPU."
            ) from error


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
) -> tuple[Tensor, Tensor | None]:
    """One pass of ``pixels`` ``(B, 3, h, w)``, already on the module's device.

    The caller decides about gradients and holds :func:`admitted`.

    Returns:
        Logits ``(B, C)`` and, if the model applied ``classifier`` (the weight of its last linear
        layer), the embedding ``(B, D)`` that it was applied to.
    """
    with autocast(pixels.device, precision):
        if observe is None:
            return _logits(module(pixels)), None
        with Capture(module, observe, classifier) as capture:
            output = module(pixels)
    return _logits(output), capture.embedding


def _logits(output: object) -> Tensor:
    """The logits in what timm, torchvision and transformers models return."""
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(
            f"The model returns {shape}, not logits of shape (batch, classes). Give a model with "
            "a classification head, or one that pools its tokens."
        )
    return output
