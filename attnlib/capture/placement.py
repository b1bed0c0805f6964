"""Whether the patch tokens stand where the layout says, by changing corners of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError, CaptureError


class _Enough(AttnlibError):
    """Ends a pass that has told what it was made for."""


def check_places(module: nn.Module, pixels: Tensor, layout: TokenLayout, layer: int) -> None:
    """Look which tokens change with the top right and the bottom left patch of the image.

    The values of the first layer are made of one token each, so a part of a pass tells. Tokens
    counted right can still stand in another place: a class token at the end, or patches column
    by column.

    Args:
        pixels: an image ``(1, C, h, w)`` that is not blank.
        layer: position, among the attention calls, of the first one between all tokens.

    Raises:
        CaptureError: the tokens that change are others than those of the two patches.
    """
    (rows, cols), first = layout.grid, len(layout.prefix)
    wanted = (first + cols - 1, first + (rows - 1) * cols)
    boxes = layout.boxes((pixels.shape[2], pixels.shape[3]))
    changed = pixels.repeat(3, 1, 1, 1)
    for image, token in enumerate(wanted, start=1):
        top, left, bottom, right = boxes[token - first]
        changed[image, :, top:bottom, left:right] *= -1
    values: list[Tensor] = []
    position = -1

    def observe(call: AttentionCall) -> None:
        nonlocal position
        position += 1
        if position == layer:
            assert call.value is not None
            values.append(call.value)
            raise _Enough

    try:
        with torch.no_grad(), passes.admitted():
            passes.forward(module, changed, observe)
    except AttnlibError:
        # Also a model that takes one image at a time: then nothing is found out.
        pass
    if not values or values[0].shape[0] != 3 or values[0].shape[2] != layout.tokens:
        return
    plain, *others = values[0].float()
    moved = torch.stack([(other - plain).norm(dim=(0, 2)) for other in others])
    if not bool((moved.amax(dim=1) > 0).all()):
        return
    found = tuple(moved.argmax(dim=1).tolist())
    if found != wanted:
        raise CaptureError(
            f"The patch tokens of this model are not where they are looked for: the corners of the "
            f"image are tokens {found[0]} and {found[1]}, not {wanted[0]} and {wanted[1]}. Tokens "
            "of the model's own have to come before the patches, and patches row by row."
        )
