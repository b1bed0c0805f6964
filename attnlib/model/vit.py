"""A loaded Vision Transformer and everything one can ask it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.gradients import Differentiable
from attnlib.capture.outputs import Outputs
from attnlib.capture.record import Record
from attnlib.capture.support import Support, examine
from attnlib.capture.tokens import TokenLayout
from attnlib.capture.trace import Trace
from attnlib.data import labels
from attnlib.data.image import Transform
from attnlib.errors import CaptureError, ModelError, OutOfMemory
from attnlib.methods import Heat, Subject
from attnlib.methods.base import Progress
from attnlib.model import attribution, crop, inspection, notebook
from attnlib.model.arrays import array
from attnlib.model.classes import ClassNames
from attnlib.model.inputs import Picture, prepared
from attnlib.model.preparation import Preparation
from attnlib.model.views import Views


class Vit:
    """A model, its preprocessing, its classes and its tokens. Made by :func:`attnlib.load`.

    One instance may be used by many threads at once: nothing is ever set on ``module``.

    Attributes:
        name: what was loaded.
        module: the plain ``torch.nn.Module``.
        layout: prefix tokens, patch grid and readout.
        support: which maps are defined, and why others are not.
        preparation: how an image becomes the model's input.
        outputs: what the logits mean.
        names: one name per class, and where they come from.
        notes: what a person should know: weights left out, options that nothing tells.
    """

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
        self._views = Views(self)

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

    def at(self, size: tuple[int, int]) -> Vit:
        """The same model for inputs of another size ``(height, width)``, with their own layout.

        A pass of one image of that size finds it out, once; the view is kept.

        Raises:
            ModelError: the model does not run on images of this size.
            CaptureError: it attends between no tokens there.
        """
        return self._views.at((int(size[0]), int(size[1])), self._view)

    def layout_for(self, size: tuple[int, int]) -> TokenLayout:
        """Prefix tokens, patch grid and readout for inputs of another size: see :meth:`at`."""
        return self.at(size).layout

    def fitting(self, pixels: Tensor) -> Vit:
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

    def _view(self, size: tuple[int, int]) -> Vit:
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

    def around(self, module: nn.Module) -> Vit:
        """The same model in all but its weights, or with ``module`` around it."""
        return self._with(module=module)

    def named(self, names: ClassNames | Sequence[str]) -> Vit:
        """The same model with other names of its classes; the weights are shared.

        Raises:
            LabelError: their number is not that of the classes.
        """
        if not isinstance(names, ClassNames):
            names = ClassNames(tuple(names), "given by you")
        labels.check_class_count(names.names, len(self.class_names))
        return self._with(names=names)

    def prepared(self, changes: Mapping[str, Any]) -> Vit:
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
    ) -> Vit:
        return Vit(
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

    def __repr__(self) -> str:
        rows, cols = self.layout.grid
        return (
            f"Vit({self.name!r}, {self.device}, {rows} x {cols} patches, "
            f"{len(self.class_names)} classes, query: {self.layout.query})"
        )

    def _repr_html_(self) -> str:
        return notebook.card(self)

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

    # -- images -------------------------------------------------------------------------------

    def pixels(self, image: Picture) -> Tensor:
        """The model's input for an image, ``(1, C, h, w)`` on the model's device.

        Args:
            image: a picture, or an array ``(C, h, w)`` that is prepared already; models of other
                than 1, 3 or 4 channels take arrays only.

        Raises:
            ModelError: the image does not fit, or the transform fails on it.
        """
        device, dtype = passes.place_of(self.module)
        return prepared(image, self.transform, self.channels).unsqueeze(0).to(device, dtype)

    def crop(self, image: Picture) -> Image.Image:
        """The part of the image that the model sees, as it sees it, ``h x w`` pixels RGB.

        One channel is drawn grey; of more than three the first three are.
        """
        return self.seen(image)[0]

    def seen(self, image: Picture) -> tuple[Image.Image, str]:
        """:meth:`crop`, and a sentence if the known normalisation does not lead back to colours."""
        return crop.picture(self.preparation, prepared(image, self.transform, self.channels))

    # -- records ------------------------------------------------------------------------------

    def inspect(self, image: Picture, *, rollout: bool = True) -> Record:
        """One forward pass: logits, the readout's attention in every layer and head, rollout.

        Args:
            rollout: without it the pass costs about as much as a plain one.

        Raises:
            ModelError: the model does not run on the image.
            OutOfMemory: the device ran out of memory.
            NotFinite: the model returned values that are not finite.
        """
        return self.inspect_pixels(self.pixels(image), rollout=rollout)[0]

    def inspect_many(
        self, images: Sequence[Picture], *, batch_size: int = 16, rollout: bool = True
    ) -> Iterator[Record]:
        """:meth:`inspect` for many images, in batches; halved when memory does not suffice.

        Images that a transform leaves at different sizes go into batches of one size each.
        """
        start = 0
        while start < len(images):
            part = [self.pixels(image) for image in images[start : start + batch_size]]
            try:
                records = self._by_size(part, rollout)
            except OutOfMemory:
                if batch_size == 1:
                    raise
                batch_size = math.ceil(batch_size / 2)
                continue
            yield from records
            start += len(part)

    def _by_size(self, images: Sequence[Tensor], rollout: bool) -> list[Record]:
        """Records of images ``(1, C, h, w)`` in their order, those of one size together."""
        found: dict[int, Record] = {}
        places: dict[torch.Size, list[int]] = {}
        for place, image in enumerate(images):
            places.setdefault(image.shape, []).append(place)
        for group in places.values():
            batch = torch.cat([images[place] for place in group])
            found |= zip(group, self.inspect_pixels(batch, rollout=rollout), strict=True)
        return [found[place] for place in range(len(images))]

    def inspect_pixels(self, pixels: Tensor, *, rollout: bool = True) -> list[Record]:
        """:meth:`inspect` for prepared images ``(B, C, h, w)`` of one size.

        Raises:
            ModelError: the model does not run on images of this shape.
        """
        return inspection.records(self.fitting(pixels), pixels, rollout=rollout)

    # -- attention and attribution -------------------------------------------------------------

    def attention(self, image: Picture, layer: int) -> NDArray[np.float32]:
        """The exact attention of one layer, ``(H, T, T)``: rows are queries and sum to 1.

        Prefix tokens come first. For a model that attends within windows: ``(W, H, t, t)`` of
        the windows of that layer, in the model's own order.

        Raises:
            CaptureError: no such layer.
        """
        pixels = self.pixels(image)
        view = self.fitting(pixels)
        if view is not self:
            return view.attention(pixels[0], layer)
        windowed = "layer" not in self.support.roles
        places = self.support.calls("local" if windowed else "layer")
        if not places:
            raise CaptureError(
                f"{self.name} has no layer of attention between all tokens: {self.support.reason}."
            )
        if not -len(places) <= layer < len(places):
            raise CaptureError(
                f"layer must be from 0 to {len(places) - 1}; this model has {len(places)} layers "
                "of token attention."
            )
        wanted = places[layer]
        found: list[Tensor] = []
        position = -1

        def observe(call: AttentionCall) -> None:
            nonlocal position
            position += 1
            if position == wanted:
                found.append(call.rows())

        with passes.admitted(), torch.no_grad():
            passes.forward(self.module, pixels, observe, precision=self.precision)
        matrix = found[0] if windowed else found[0][0]
        return array(matrix)

    def attribute(
        self,
        image: Picture,
        method: str = "rollout",
        target: int | None = None,
        **options: Any,
    ) -> Heat:
        """An attribution map of one image.

        Args:
            method: a name from :func:`attnlib.methods`.
            target: class index, for the methods that explain a class; the predicted one if None.
            options: as the method describes them.

        Raises:
            AttnlibError: unknown method, option or class.
            CaptureError: the map is not defined for this model; the message says why.
        """
        heat = self.explain(self.subject(image), method, target, **options)
        return replace(heat, crop=np.asarray(self.crop(image)))

    def subject(self, image: Picture) -> Subject:
        """The image as a subject of several methods, which then share their forward passes."""
        return Subject(self, self.pixels(image))

    def explain(
        self,
        subject: Subject,
        method: str,
        target: int | None = None,
        *,
        progress: Progress | None = None,
        **options: Any,
    ) -> Heat:
        """:meth:`attribute` for a subject made by :meth:`subject`.

        Args:
            progress: called by a slow method with (steps done, steps); what it raises ends it.
        """
        view = self.fitting(subject.pixels)
        return attribution.explain(view, subject, method, target, options, progress)

    def trace(self, pixels: Tensor) -> Trace:
        """The attention of one image ``(1, C, h, w)`` through all layers. Not admitted."""
        return self.observe(
            pixels, lambda call, role: call.compact() if role in ("layer", "pool") else None
        )

    def observe(
        self, pixels: Tensor, note: Callable[[AttentionCall, str], AttentionCall | None]
    ) -> Trace:
        """One pass of one image; the trace of what ``note`` wants kept. Not admitted.

        Args:
            note: gets each call with its role in this model (see
                :class:`attnlib.capture.support.Support`) and returns what to keep of it.
        """
        with torch.no_grad():
            _, _, calls = self.run(pixels, note)
        return self.fitting(pixels).traced(calls, 0)

    def differentiate(self, pixels: Tensor) -> Differentiable:
        """One image ``(1, C, h, w)`` with the means to ask for gradients. Not admitted."""
        with torch.enable_grad():
            image = pixels.clone().requires_grad_()
            logits, _, calls = self.run(
                image,
                lambda call, role: call if role in ("layer", "pool") else None,
                graph=True,
            )
        view = self.fitting(pixels)
        trace = view.traced([(call.detached(), role) for call, role in calls], 0)
        scores = self.outputs.scores(logits)
        return Differentiable(trace, scores, [call for call, role in calls if role == "layer"])

    def run(
        self,
        pixels: Tensor,
        note: Callable[[AttentionCall, str], AttentionCall | None],
        *,
        graph: bool = False,
    ) -> tuple[Tensor, Tensor | None, list[tuple[AttentionCall, str]]]:
        """One pass of ``(B, C, h, w)``: logits ``(B, C)``, embedding ``(B, D)``, calls kept.

        Not admitted, and the caller decides about gradients.

        Args:
            note: as in :meth:`observe`.
            graph: as in :class:`attnlib.capture.mode.Capture`.
        """
        kept: list[tuple[AttentionCall, str]] = []
        view = self.fitting(pixels)
        roles, tokens = iter(view.support.roles), view.layout.tokens

        def observe(call: AttentionCall) -> None:
            role = next(roles, "refused")
            if role == "layer" and call.shape[2:] != (tokens, tokens):
                raise ModelError(
                    f"{call.module or call.kind} attends between {call.shape[2]} and "
                    f"{call.shape[3]} tokens, where {tokens} were counted on an image of this "
                    "size: its tokens have no sure place. A model that drops or merges tokens "
                    "by their content gives no maps."
                )
            keep = note(call, role)
            if keep is not None:
                kept.append((keep, role))

        logits, embedding = passes.forward(
            self.module,
            pixels,
            observe,
            precision=self.precision,
            classifier=self._classifier,
            graph=graph,
        )
        return logits, embedding, kept

    def traced(self, calls: list[tuple[AttentionCall, str]], index: int) -> Trace:
        """The trace of one image of a batch out of what :meth:`run` kept."""
        layers = tuple(call.image(index) for call, role in calls if role == "layer")
        pools = [call for call, role in calls if role == "pool"]
        return Trace(self.layout, layers, pools[-1].image(index) if pools else None)


def _classifier_weight(module: nn.Module, classes: int) -> Tensor | None:
    """Weight of the last linear layer that maps to the classes."""
    linear = [
        child
        for child in module.modules()
        if isinstance(child, nn.Linear) and child.out_features == classes
    ]
    return linear[-1].weight if linear else None
