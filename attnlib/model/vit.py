"""A loaded Vision Transformer and everything one can ask it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.gradients import Differentiable
from attnlib.capture.record import Record
from attnlib.capture.trace import Trace
from attnlib.errors import OutOfMemory
from attnlib.methods import Heat, Subject
from attnlib.methods.base import Progress
from attnlib.model import attribution, crop, inspection, notebook, running
from attnlib.model.inputs import Picture, prepared
from attnlib.model.loaded import Loaded
from attnlib.model.running import Kept, Note


class Vit(Loaded):
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

    def __repr__(self) -> str:
        rows, cols = self.layout.grid
        return (
            f"Vit({self.name!r}, {self.device}, {rows} x {cols} patches, "
            f"{len(self.class_names)} classes, query: {self.layout.query})"
        )

    def _repr_html_(self) -> str:
        return notebook.card(self)

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
        """Records of images ``(1, C, h, w)`` in their order."""
        found: dict[int, Record] = {}
        for places, batch in running.by_size(images):
            found |= zip(places, self.inspect_pixels(batch, rollout=rollout), strict=True)
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
        return running.matrix(self.fitting(pixels), pixels, layer)

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

    def observe(self, pixels: Tensor, note: Note) -> Trace:
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
        note: Note,
        *,
        graph: bool = False,
    ) -> tuple[Tensor, Tensor | None, Kept]:
        """One pass of ``(B, C, h, w)``: logits ``(B, C)``, embedding ``(B, D)``, calls kept.

        Not admitted, and the caller decides about gradients.

        Args:
            note: as in :meth:`observe`.
            graph: as in :class:`attnlib.capture.mode.Capture`.
        """
        return running.run(self.fitting(pixels), pixels, note, self._classifier, graph=graph)

    def traced(self, calls: Kept, index: int) -> Trace:
        """The trace of one image of a batch out of what :meth:`run` kept."""
        layers = tuple(call.image(index) for call, role in calls if role == "layer")
        pools = [call for call, role in calls if role == "pool"]
        return Trace(self.layout, layers, pools[-1].image(index) if pools else None)
