"""What a method may ask of a model: the only thing that methods know about one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from attnlib.capture.gradients import Differentiable
from attnlib.capture.outputs import Outputs
from attnlib.capture.passes import Precision
from attnlib.capture.support import Support
from attnlib.capture.tokens import TokenLayout
from attnlib.capture.trace import Trace


class Model(Protocol):
    """A loaded model, as :class:`attnlib.Vit` is one."""

    @property
    def name(self) -> str: ...

    @property
    def module(self) -> nn.Module: ...

    @property
    def layout(self) -> TokenLayout: ...

    @property
    def support(self) -> Support: ...

    @property
    def class_names(self) -> Sequence[str]: ...

    @property
    def outputs(self) -> Outputs: ...

    @property
    def precision(self) -> Precision: ...

    @property
    def width(self) -> int: ...

    def fitting(self, pixels: Tensor) -> Model:
        """The model at the size of prepared images ``(B, C, h, w)``, with their layout."""

    def trace(self, pixels: Tensor) -> Trace:
        """The attention of one image ``(1, 3, h, w)`` through all layers."""

    def differentiate(self, pixels: Tensor) -> Differentiable:
        """One image ``(1, 3, h, w)`` with the means to ask for gradients."""
