"""What a model of stages reads in the end: a feature for each place of its last stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.gradients import slopes
from attnlib.capture.passing import Model
from attnlib.capture.pooling import even_reading
from attnlib.capture.probe import Probe
from attnlib.errors import CaptureError

# How unevenly places have to change, in shares of their mean change, to say where they are.
TELLING = 0.1


@dataclass(frozen=True)
class Places:
    """The last stage of one pass, place by place.

    Attributes:
        features: ``(rows, cols, D)``, what is averaged.
        gradient: ``(rows, cols, D)``, d logit / d features.
    """

    features: Tensor
    gradient: Tensor

    def spread(self, values: Tensor, grid: tuple[int, int]) -> Tensor:
        """Numbers of the places ``(rows, cols)`` on the patches that each stands for, ``grid``.

        A place stands for a square of patches; where the model pads, the last ones reach beyond.
        """
        down, across = (
            torch.arange(patches) // math.ceil(patches / places)
            for patches, places in zip(grid, values.shape, strict=True)
        )
        return values[down.to(values.device)][:, across.to(values.device)]


def last_places(vit: Model, pixels: Tensor, target: int) -> Places:
    """The features that are averaged in the end, and what a logit makes of them.

    One pass of three images, whose graph begins after the last attention: the image, and two with
    a half changed, that tell whether places stand row by row.  Not admitted.

    Args:
        pixels: ``(1, C, h, w)``.

    Raises:
        CaptureError: there is no such average, it has one place only, or its places are not found
            where they are looked for.
    """
    vit = vit.fitting(pixels)
    height, width = pixels.shape[2:]
    images = _halves(pixels)
    probe = Probe(vit.module, len(vit.support.roles) - 1, dimensions=(3, 4))
    with torch.no_grad(), probe, passes.autocast(pixels.device, vit.precision):
        logits = passes.logits_of(vit.module(images), len(images))
    if not probe.tokens or not logits.requires_grad:
        raise CaptureError(_undefined(vit))
    with torch.enable_grad():
        score = vit.outputs.scores(logits)[0, target]
        # No single logit, which may be one that its weights leave at zero.
        drawn = torch.randn(logits.shape[1], generator=torch.Generator().manual_seed(1))
        mixed = (logits[0] * drawn.to(logits)).sum()
    found = torch.autograd.grad(mixed, probe.tokens, retain_graph=True, allow_unused=True)
    if not any(gradient is not None and bool(gradient.any()) for gradient in found):
        raise CaptureError(
            f"The logits of {vit.name} do not change with what its last stage gives: its "
            "classifier may be untrained, with weights of zero."
        )
    for tokens, gradient in reversed(list(zip(probe.tokens, found, strict=True))):
        way = None if gradient is None else even_reading(gradient[0].float())
        if way is None or len(tokens) != len(images):
            continue
        (slope,) = torch.autograd.grad(score, [tokens], allow_unused=True)
        slope = torch.zeros_like(tokens) if slope is None else slope
        features = torch.stack([_as_grid(way(one), height / width, vit) for one in tokens.detach()])
        if tokens.ndim == 3:
            _check_order(features.float(), vit)
        return Places(features[0], _as_grid(way(slope[0]), height / width, vit))
    raise CaptureError(_undefined(vit))


def read_places(vit: Model, pixels: Tensor, target: int) -> Places:
    """What the last attention reads, and what a logit makes of it: of models with a class token.

    One pass with a graph, and one of two images with a half changed, that tell whether places
    stand row by row.  Not admitted.

    Args:
        pixels: ``(1, C, h, w)``.

    Raises:
        CaptureError: these are no places, or they are not found where they are looked for.
    """
    vit = vit.fitting(pixels)
    height, width = pixels.shape[2:]
    with torch.enable_grad():
        image = pixels.detach().clone().requires_grad_()
        logits, tokens = _last_read(vit, image, graph=True)
        score = vit.outputs.scores(logits)[0, target]
        (slope,) = slopes(score, [tokens], "what its last attention reads")
    changed = _halves(pixels)[1:]
    with torch.no_grad():
        _, others = _last_read(vit, changed, graph=False)
    prefix = max(1, len(vit.layout.prefix))

    def places(one: Tensor) -> Tensor:
        return _as_grid(one[prefix:], height / width, vit)

    features = torch.stack([places(one) for one in (tokens.detach()[0], *others)])
    _check_order(features.float(), vit)
    return Places(features[0], places(slope[0]))


def _last_read(vit: Model, images: Tensor, *, graph: bool) -> tuple[Tensor, Tensor]:
    """Logits ``(B, L)``, and the tokens ``(B, T', D)`` that the last attention reads."""
    found: list[Tensor | None] = []

    def keep(call: AttentionCall) -> None:
        found[:] = [call.normed]

    logits, _ = passes.forward(vit.module, images, keep, precision=vit.precision, graph=graph)
    if not found or found[0] is None or found[0].shape[0] != len(images):
        raise CaptureError(_undefined(vit))
    return logits, found[0]


def _halves(pixels: Tensor) -> Tensor:
    """The image, and the image with its upper and its left half negated, ``(3, C, h, w)``.

    Negated halves have the same numbers in other places, so that neither is blank.
    """
    images = pixels.repeat(3, 1, 1, 1)
    images[1, :, : pixels.shape[2] // 2] *= -1
    images[2, :, :, : pixels.shape[3] // 2] *= -1
    return images


def _as_grid(rows: Tensor, aspect: float, vit: Model) -> Tensor:
    """Places as they come, ``(n, D)`` or ``(rows, cols, D)``, as ``(rows, cols, D)``.

    Args:
        aspect: height of the image over its width.
    """
    if rows.ndim == 3:
        return rows
    count = len(rows)
    high = min(
        (n for n in range(1, count + 1) if count % n == 0),
        key=lambda n: abs(math.log(n * n / count / aspect)),
    )
    # Within a place of the image's own shape: another number of places has no such grid.
    if abs(high - math.sqrt(count * aspect)) > 1:
        raise CaptureError(_undefined(vit))
    return rows.reshape(high, count // high, -1)


def _check_order(features: Tensor, vit: Model) -> None:
    """Whether what changes with a half of the image is that half of the places.

    Args:
        features: ``(3, rows, cols, D)``: of the image, and with the upper and the left half
            changed.

    Raises:
        CaptureError: it is another part.
    """
    moved = (features[1:] - features[:1]).norm(dim=-1)
    moved = moved / moved.mean(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    high, wide = (max(1, side // 2) for side in moved.shape[1:])
    down = (moved[:, :high] - moved[:, -high:]).mean(dim=(1, 2))
    across = (moved[:, :, :wide] - moved[:, :, -wide:]).mean(dim=(1, 2))
    for one, own, other in zip(moved, (down[0], across[1]), (across[0], down[1]), strict=True):
        # Before training everything may depend on everything: then nothing speaks against it.
        if float(one.std()) > TELLING and float(own) <= abs(float(other)):
            raise CaptureError(
                f"The places of the last stage of {vit.name} do not change with the part of the "
                "image that they are looked for in, so a map of them could be misplaced. "
                "Occlusion, RISE and integrated gradients ask the model's answer alone."
            )


def _undefined(vit: Model) -> str:
    return (
        f"{vit.name} reads no map of features of more than one place in the end, so there are "
        "no places to weigh. Occlusion, RISE and integrated gradients need none."
    )
