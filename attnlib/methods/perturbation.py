"""Replacing patches of a model's input, and what the model then says.

A picture without a patch does not exist: something has to stand in its place, and the model
answers to that too. So the replacement is always named with the result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError, OutOfMemory
from attnlib.methods.base import Progress

if TYPE_CHECKING:
    from attnlib.capture.passing import Model

Replacement = Literal["blur", "mean", "zero"]
REPLACEMENTS: tuple[Replacement, ...] = get_args(Replacement)

# Standard deviation of the blur in shares of the shorter side: 22 pixels at 224, more than a
# patch of 16, so that no shape within a patch survives.
BLUR = 0.1
BATCH_SIZE = 32


def reference(pixels: Tensor, replacement: Replacement = "blur") -> Tensor:
    """The picture that stands in for what is taken away, ``(1, 3, h, w)`` as ``pixels``.

    Args:
        pixels: normalised model input ``(1, 3, h, w)``.
        replacement: ``"blur"``: the image under a Gaussian blur with a standard deviation of a
            tenth of the shorter side (Fong & Vedaldi 2017; RISE, Petsiuk 2018, for insertion);
            ``"mean"``: the image's own mean, per channel; ``"zero"``: 0 in normalised space,
            which is the mean of the training images (the grey square of Zeiler & Fergus 2014).

    Raises:
        AttnlibError: there is no such replacement.
    """
    if replacement == "zero":
        return torch.zeros_like(pixels)
    if replacement == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    if replacement == "blur":
        return _blur(pixels, BLUR * min(pixels.shape[2:]))
    raise AttnlibError(
        f"There is no replacement {replacement!r}. Choose one of {', '.join(REPLACEMENTS)}."
    )


def patch_index(size: tuple[int, int], grid: tuple[int, int]) -> NDArray[np.int64]:
    """Which patch each pixel belongs to where patches fill the picture, ``(h, w)``.

    A model's own patches may leave pixels over: :meth:`TokenLayout.patch_index` has those.
    Pixel x belongs to column floor((x + 1/2) · cols / w), as in ``pictures.overlay``, also
    where ``size`` (h, w) is no multiple of ``grid`` (rows, cols).
    """
    (height, width), (rows, cols) = size, grid
    down = (2 * np.arange(height, dtype=np.int64) + 1) * rows // (2 * height)
    across = (2 * np.arange(width, dtype=np.int64) + 1) * cols // (2 * width)
    return down[:, np.newaxis] * cols + across


def per_patch(layout: TokenLayout, values: Tensor) -> Tensor:
    """The sum of the values of each patch's pixels, ``(1, h, w) -> (N,)``.

    Pixels of no patch count for none.
    """
    index = torch.from_numpy(layout.patch_index((values.shape[1], values.shape[2])))
    index = index.flatten().to(values.device)
    # One more place for pixels of no patch, whose number is -1.
    sums = values.new_zeros(layout.patches + 1).index_add_(
        0, index % (layout.patches + 1), values.flatten()
    )
    return sums[:-1]


def replace(
    pixels: Tensor, reference: Tensor, masks: Tensor, index: NDArray[np.int64] | None = None
) -> Tensor:
    """``pixels`` with the masked patches taken from ``reference``, ``(B, 3, h, w)``.

    Args:
        pixels, reference: ``(1, 3, h, w)``.
        masks: ``(B, rows, cols)`` bool, true where the patch is replaced.
        index: the patch of each pixel, ``(h, w)``, -1 for none; None where patches fill the
            picture.
    """
    if index is None:
        grid = (int(masks.shape[1]), int(masks.shape[2]))
        index = patch_index((pixels.shape[2], pixels.shape[3]), grid)
    places = torch.from_numpy(index).to(pixels.device)
    # One more patch, which is never replaced, at the place of -1.
    chosen = F.pad(masks.to(pixels.device).flatten(1), (0, 1))[:, places]
    return torch.where(chosen[:, None], reference, pixels)


def probabilities(
    vit: Model,
    pixels: Tensor,
    reference: Tensor,
    masks: NDArray[np.bool_],
    classes: Sequence[int],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The probability of some classes for every way of replacing patches, ``(P, C')``.

    Of a model without classes, its outputs.

    Admission is asked for batch by batch, so that others get their turn.

    Args:
        pixels, reference: ``(1, 3, h, w)``.
        masks: ``(P, rows, cols)``, true where a patch is replaced.
        classes: C' class indices.
        batch_size: passes at a time; halved when memory does not suffice.
        progress: called after each batch; what it raises ends the computation.

    Raises:
        AttnlibError: a class does not exist, or the model's values are not finite.
        OutOfMemory: not even one pass fits into memory.
    """
    wrong = [c for c in classes if not 0 <= c < len(vit.class_names)]
    if wrong:
        raise AttnlibError(f"A class must be from 0 to {len(vit.class_names) - 1}, not {wrong[0]}.")
    vit = vit.fitting(pixels)
    found = np.empty((len(masks), len(classes)), dtype=np.float64)
    index = vit.layout.patch_index((pixels.shape[2], pixels.shape[3]))
    start = 0
    while start < len(masks):
        stop = min(start + batch_size, len(masks))
        part = torch.from_numpy(np.ascontiguousarray(masks[start:stop]))
        try:
            with passes.admitted(), torch.no_grad():
                batch = replace(pixels, reference, part, index)
                logits, _ = passes.forward(vit.module, batch, precision=vit.precision)
                # On the processor first: not every accelerator has float64.
                shares = vit.outputs.probabilities(logits.cpu().double())[:, list(classes)]
        except OutOfMemory:
            if stop - start == 1:
                raise
            batch_size = math.ceil((stop - start) / 2)
            continue
        found[start:stop] = shares.numpy()
        start = stop
        if progress is not None:
            progress(start, len(masks))
    if not np.isfinite(found).all():
        raise AttnlibError(
            "The model returned values that are not finite for a picture with patches replaced. "
            "If it runs in float16, use float32 or bfloat16."
        )
    return found


def _blur(pixels: Tensor, deviation: float) -> Tensor:
    """Separable Gaussian blur of ``(1, 3, h, w)``, cut at 3 deviations, mirrored at the edges."""
    radius = math.ceil(3 * deviation)
    offsets = torch.arange(-radius, radius + 1, device=pixels.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets.to(pixels.dtype) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).expand(pixels.shape[1], 1, 1, -1)
    groups = pixels.shape[1]
    padded = F.pad(pixels, (radius, radius, radius, radius), mode="reflect")
    across = F.conv2d(padded, kernel, groups=groups)
    return F.conv2d(across, kernel.transpose(2, 3), groups=groups)
