"""Models whose predictions are known: the demo's attention, and logits that read some pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

import attnlib


class Reader(nn.Module):
    """The demo model whose logits are a function of the pixels ``(B, 3, h, w)``.

    A trust of None leaves the demo's own pass out: quick, but nothing can be captured.
    """

    def __init__(
        self, inner: nn.Module, read: Callable[[Tensor], Tensor], trust: float | None
    ) -> None:
        super().__init__()
        self.inner, self.read, self.trust = inner, read, trust

    def forward(self, pixels: Tensor) -> Tensor:
        own = 0.0 if self.trust is None else self.trust * self.inner(pixels)
        return own + self.read(pixels)


def reader(
    vit: attnlib.Vit, read: Callable[[Tensor], Tensor], trust: float | None = 0.0
) -> attnlib.Vit:
    """The demo model with other logits: its own times ``trust``, plus what is read."""
    return vit.around(Reader(vit.module, read, trust))


def one_hot(pixels: Tensor, numbers: dict[int, Tensor]) -> Tensor:
    """Logits ``(B, 10)`` with some numbers ``(B,)``."""
    found = pixels.new_zeros(len(pixels), 10)
    for index, values in numbers.items():
        found[:, index] = values
    return found


def centre(pixels: Tensor) -> Tensor:
    """``(B, 3)`` the mean colour of the middle quarter."""
    height, width = pixels.shape[2:]
    part = pixels[:, :, height // 4 : -height // 4, width // 4 : -width // 4]
    return part.mean(dim=(2, 3))


def frame(pixels: Tensor) -> Tensor:
    """``(B, 3)`` the mean colour of the outermost eighth."""
    height, width = pixels.shape[2:]
    inner = torch.zeros(height, width, dtype=torch.bool)
    inner[height // 8 : -height // 8, width // 8 : -width // 8] = True
    return pixels[:, :, ~inner].mean(dim=2)
