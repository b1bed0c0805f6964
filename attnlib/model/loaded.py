"""What a loaded model is: its module, its tokens, its preparation, its classes, its sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from attnlib.capture import passes
from attnlib.capture.outputs import Outputs
from attnlib.capture.support import Support, examine
from attnlib.capture.tokens import TokenLayout
from attnlib.data import labels
from attnlib.data.image import Transform
from attnlib.errors import ModelError
from attnlib.model.classes import ClassNames
from attnlib.model.preparation import Preparation
from attnlib.model.views import Views


class Loaded:
    """All that is known of a model; what one can ask it is in :class:`attnlib.Vit`."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        layout: TokenLayout,
        support: Support,
        *,
        preparation: Preparation,
        names: ClassNames,
        outputs: Outputs | None = None,
        precision: passes.Precision = "float32",
        notes: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.module = module
        self.layout = layout
        self.support = support
        self.preparation = preparation
        self.names = names
        self.outputs = outputs or Outputs()
        self.precision = precision
        self.notes = tuple(notes)
        self._classifier = _classifier_weight(module, len(self.class_names))
        self._views: Views[Any] = Views(self.size, self)

    @property
    def transform(self) -> Transform:
        """PIL image -> ``(C, h, w)`` float32 tensor, the model's own preprocessing."""
        return self.preparation.transform

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class."""
        return self.names.names

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` of the model's input in pixels."""
        return self.preparation.size

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of the normalisation that ``transform`` applies."""
        return self.preparation.mean

    @property
    def std(self) -> tuple[float, ...]:
        """As ``mean``."""
        return self.preparation.std

    @property
    def channels(self) -> int:
        """C, how many channels the model's input has: 1 (grey), 3, 4 (with opacity) or more."""
        return self.support.channels

    def at(self, size: tuple[int, int]) -> Self:
        """The same model for inputs of another size ``(height, width)``, with their own layout.

        A pass of one image of that size finds it out, once; the view is kept.

        Raises:
            ModelError: the model does not run on images of this size.
            CaptureError: it attends between no tokens there.
        """
        view: Self = self._views.at((int(size[0]), int(size[1])), self._view)
        return view

    def layout_for(self, size: tuple[int, int]) -> TokenLayout:
        """Prefix tokens, patch grid and readout for inputs of another size: see :meth:`at`."""
        return self.at(size).layout

    def fitting(self, pixels: Tensor) -> Self:
        """The model at the size of some prepared images ``(B, C, h, w)``: see :meth:`at`.

        Raises:
            ModelError: it does not run on such images.
        """
        if pixels.ndim != 4 or pixels.shape[1] != self.channels or not len(pixels):
            raise ModelError(
                f"The model takes images of shape (batch, {self.channels}, height, width), not "
                f"{tuple(pixels.shape)}."
            )
        return self.at((int(pixels.shape[2]), int(pixels.shape[3])))

    def _view(self, size: tuple[int, int]) -> Self:
        try:
            layout, support = examine(self.module, size)
        except ModelError as error:
            raise ModelError(
                f"{error} The model was loaded for {self.size[0]} x {self.size[1]} pixels: give a "
                "transform that resizes and crops to that size, or load it with img_size."
            ) from error
        view = self._with(
            layout=layout, support=support, preparation=replace(self.preparation, size=size)
        )
        view._views = self._views
        return view

    def around(self, module: nn.Module) -> Self:
        """The same model in all but its weights, or with ``module`` around it."""
        return self._with(module=module)

    def named(self, names: ClassNames | Sequence[str]) -> Self:
        """The same model with other names of its classes; the weights are shared.

        Raises:
            LabelError: their number is not that of the classes.
        """
        if not isinstance(names, ClassNames):
            names = ClassNames(tuple(names), "given by you")
        labels.check_class_count(names.names, len(self.class_names))
        return self._with(names=names)

    def prepared(self, changes: Mapping[str, Any]) -> Self:
        """The same model with some settings of its preparation changed; the weights are shared.

        Args:
            changes: see :meth:`attnlib.model.preparation.Preparation.changed`.

        Raises:
            ModelError: no such setting, or no such value of it.
        """
        return self._with(preparation=self.preparation.changed(changes))

    def _with(
        self,
        *,
        module: nn.Module | None = None,
        layout: TokenLayout | None = None,
        support: Support | None = None,
        preparation: Preparation | None = None,
        names: ClassNames | None = None,
    ) -> Self:
        return type(self)(
            self.name,
            module or self.module,
            layout or self.layout,
            support or self.support,
            preparation=preparation or self.preparation,
            names=names or self.names,
            outputs=self.outputs,
            precision=self.precision,
            notes=self.notes,
        )

    @property
    def width(self) -> int:
        """D, the width of the embedding that the classifier reads (1024 where it has none)."""
        return 1024 if self._classifier is None else int(self._classifier.shape[1])

    @property
    def covers(self) -> tuple[float, float]:
        """How far the patches reach, in shares of the input's height and width."""
        return self.layout.covers(self.size)

    @property
    def classifies(self) -> bool:
        """Whether the model ends in a classifier, so that its logits stand for classes."""
        return self.outputs.classifies

    @property
    def device(self) -> torch.device:
        return passes.place_of(self.module)[0]


def _classifier_weight(module: nn.Module, classes: int) -> Tensor | None:
    """Weight of the last linear layer that maps to the classes."""
    linear = [
        child
        for child in module.modules()
        if isinstance(child, nn.Linear) and child.out_features == classes
    ]
    return linear[-1].weight if linear else None
