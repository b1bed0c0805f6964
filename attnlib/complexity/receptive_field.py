"""How far one position sees: a CNN layer by layer, beside a ViT, which sees all from layer one."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnlib.capture.passes import admitted
from attnlib.complexity.architecture import Architecture
from attnlib.errors import ModelError


@dataclass(frozen=True)
class ReceptiveField:
    """The theoretical receptive field after one layer: which pixels can have any influence.

    Attributes:
        layer: its name in the module.
        kernel, stride, dilation: of the layer, in its input's positions (along one axis).
        jump: pixels between neighbouring positions of the output.
        size: side of the receptive field in pixels, not cut at the border of the image.
    """

    layer: str
    kernel: int
    stride: int
    dilation: int
    jump: int
    size: int


def cnn_receptive_field(
    module: nn.Module, image: int = 64, channels: int = 3
) -> list[ReceptiveField]:
    """Layer by layer, in the order of the forward pass, from the module's own kernels and strides.

    size ← size + (kernel − 1) · dilation · jump, then jump ← jump · stride (Araujo, Norris & Sim,
    Distill 2019). Where branches meet (residual blocks) the largest counts. The graph is the one
    that a forward pass really takes: every tensor carries its size and jump along. Means over the
    whole image (the final pooling, squeeze-and-excitation) are not windows and not counted.

    Args:
        module: a convolutional network; it is only run, with its own device.
        image: side of the random image that is used to follow the graph.

    Raises:
        ModelError: the model attends over all tokens or has no convolutions.
    """
    names = {id(layer): name for name, layer in module.named_modules()}
    device = next(module.parameters()).device
    follow = _Follow(names)
    with admitted(), torch.inference_mode(), follow:
        module(torch.zeros(1, channels, image, image, device=device))
    if not follow.rows:
        raise ModelError("This model has no convolutions, so it has no local receptive field.")
    return follow.rows


def vit_receptive_field(architecture: Architecture) -> list[ReceptiveField]:
    """A patch embedding sees one patch; from the first attention on, a token sees every patch.

    ``size`` is the longer side of the image that is covered.
    """
    patch, (rows, cols) = max(architecture.patch), architecture.grid
    covered = max(rows * architecture.patch[0], cols * architecture.patch[1])
    first = ReceptiveField("patch_embed", patch, patch, 1, patch, patch)
    whole = [
        ReceptiveField(f"blocks.{layer}.attn", max(rows, cols), 1, 1, patch, covered)
        for layer in range(architecture.depth)
    ]
    return [first, *whole]


class _Follow(torch.overrides.TorchFunctionMode):
    """Carries (size, jump) from the inputs of every operation to its outputs."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self._names = names
        # The tensor is kept beside its numbers, so that an id is never used again.
        self._seen: dict[int, tuple[Tensor, int, int]] = {}
        self.rows: list[ReceptiveField] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        before = self._of(args, kwargs)
        result = func(*args, **kwargs)
        window = _window(func, args, kwargs)
        size, jump = before
        if window is not None:
            kernel, stride, dilation = window
            size, jump = size + (kernel - 1) * dilation * jump, jump * stride
            self.rows.append(
                ReceptiveField(self._name(), kernel, stride, dilation, jump, size)
            )  # fmt: skip
        for out in result if isinstance(result, tuple | list) else [result]:
            if isinstance(out, Tensor):
                self._seen[id(out)] = (out, size, jump)
        return result

    def _of(self, args: object, kwargs: dict[str, object]) -> tuple[int, int]:
        found = [self._seen[id(t)][1:] for t in _tensors([args, kwargs]) if id(t) in self._seen]
        return (max(s for s, _ in found), max(j for _, j in found)) if found else (1, 1)

    def _name(self) -> str:
        frame = sys._getframe(2)
        while frame is not None:
            name = self._names.get(id(frame.f_locals.get("self")))
            if name:
                return name
            frame = frame.f_back  # type: ignore[assignment]
        return ""


def _window(func: object, args: tuple, kwargs: dict) -> tuple[int, int, int] | None:
    """(kernel, stride, dilation) of a convolution or a pooling, the larger of both axes."""
    f = torch.nn.functional
    if func in (f.conv2d, torch.conv2d):
        given = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation"), args,
                         strict=False)) | kwargs  # fmt: skip
        return (max(given["weight"].shape[-2:]), _most(given.get("stride", 1)),
                _most(given.get("dilation", 1)))  # fmt: skip
    if func in (f.max_pool2d, f.avg_pool2d, torch.max_pool2d, torch._C._nn.avg_pool2d):
        given = dict(zip(("input", "kernel_size", "stride", "padding"), args,
                         strict=False)) | kwargs  # fmt: skip
        kernel = _most(given["kernel_size"])
        return kernel, _most(given.get("stride") or kernel), _most(given.get("dilation", 1))
    return None


def _most(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else max(value)


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [t for part in value for t in _tensors(part)]
    return []
