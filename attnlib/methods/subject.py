"""One image before one model: what a method may ask for."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from attnlib.capture.gradients import Differentiable
from attnlib.capture.passing import Model
from attnlib.capture.tokens import TokenLayout
from attnlib.capture.trace import Trace


class Subject:
    """One image before one model: what a method may ask for, computed once and only if asked."""

    def __init__(self, vit: Model, pixels: Tensor) -> None:
        self.vit = vit.fitting(pixels)
        self.pixels = pixels

    @property
    def layout(self) -> TokenLayout:
        return self.vit.layout

    @cached_property
    def trace(self) -> Trace:
        """The attention of a plain forward pass."""
        return self.vit.trace(self.pixels)

    @cached_property
    def differentiable(self) -> Differentiable:
        """A forward pass that can be asked for gradients."""
        return self.vit.differentiate(self.pixels)
