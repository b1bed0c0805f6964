"""Erase, keep and paste by hand: a region of what the model sees, replaced, and what it then says.

A picture without a region does not exist: something stands in its place, and the model answers to
that too. So what stands in is always named, and trying several is cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.errors import AttnlibError
from attnlib.methods import perturbation
from attnlib.model.vit import Vit

StandIn = Literal["blur", "mean", "zero", "noise", "image"]
STAND_INS: tuple[StandIn, ...] = get_args(StandIn)
WORDS: dict[StandIn, str] = {
    "blur": "the image, blurred",
    "mean": "the image's mean colour",
    "zero": "the mean colour of the training images",
    "noise": "noise with the image's mean and spread",
    "image": "the same place of another image",
}


@dataclass(frozen=True, eq=False)
class Edit:
    """A region replaced.

    Attributes:
        pixels: ``(1, C, h, w)``, the edited input of the model.
        region: ``(h, w)`` bool, the pixels that were replaced.
        before, after: ``(C,)``, probabilities.
    """

    pixels: Tensor
    region: NDArray[np.bool_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @property
    def flips(self) -> bool:
        """Whether the prediction is another one."""
        return int(self.before.argmax()) != int(self.after.argmax())


def edit(
    vit: Vit,
    pixels: Tensor,
    region: NDArray[np.bool_],
    stand_in: StandIn = "blur",
    *,
    other: Tensor | None = None,
    keep: bool = False,
) -> Edit:
    """Replace a region, or all but it, and predict.

    Args:
        pixels: ``(1, C, h, w)``, the model's input.
        region: ``(rows, cols)`` bool of patches, or ``(h, w)`` of pixels.
        stand_in: what takes its place.
        other: ``(1, C, h, w)``, for ``"image"``.
        keep: replace everything but the region.

    Raises:
        AttnlibError: the region fits neither patches nor pixels, or the other image is missing.
    """
    chosen = in_pixels(vit, pixels, region)
    chosen = ~chosen if keep else chosen
    source = reference(pixels, stand_in, other)
    edited = torch.where(torch.from_numpy(chosen).to(pixels.device), source, pixels)
    before, after = probabilities(vit, torch.cat([pixels, edited]))
    return Edit(edited, chosen, before, after)


def reference(pixels: Tensor, stand_in: StandIn, other: Tensor | None = None) -> Tensor:
    """The picture ``(1, C, h, w)`` out of which a region is filled.

    Raises:
        AttnlibError: there is no such stand-in, or no other image of this size.
    """
    if stand_in == "image":
        if other is None or other.shape != pixels.shape:
            raise AttnlibError(
                "To fill a region from another image, choose one that the model sees at the same "
                "size."
            )
        return other
    if stand_in == "noise":
        made = np.random.default_rng(0).standard_normal(pixels.shape)
        drawn = torch.from_numpy(made).to(pixels.device, pixels.dtype)
        spread = pixels.std(dim=(2, 3), keepdim=True)
        return drawn * spread + pixels.mean(dim=(2, 3), keepdim=True)
    if stand_in not in STAND_INS:
        raise AttnlibError(
            f"There is no stand-in {stand_in!r}. Choose one of {', '.join(STAND_INS)}."
        )
    return perturbation.reference(pixels, stand_in)


def in_pixels(vit: Vit, pixels: Tensor, region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A region of patches or of pixels, in pixels of the model's input ``(h, w)``.

    Raises:
        AttnlibError: it fits neither.
    """
    size = (int(pixels.shape[2]), int(pixels.shape[3]))
    layout = vit.fitting(pixels).layout
    given = np.asarray(region, dtype=bool)
    if given.shape == size:
        return given
    if given.shape != layout.grid:
        raise AttnlibError(
            f"A region has {layout.grid[0]} x {layout.grid[1]} patches or {size[0]} x {size[1]} "
            f"pixels, not {' x '.join(map(str, given.shape))}."
        )
    index = layout.patch_index(size)
    # Pixels that are in no patch are not replaced: the model does not read them.
    return np.asarray(np.append(given.ravel(), False)[index])


def probabilities(vit: Vit, pixels: Tensor) -> NDArray[np.float64]:
    """``(B, C)`` of inputs ``(B, C, h, w)``, in one pass."""
    with passes.admitted(), torch.inference_mode():
        logits, _ = passes.forward(vit.module, pixels, precision=vit.precision)
    found: NDArray[np.float64] = vit.outputs.probabilities(logits.cpu().double()).numpy()
    return found
