"""The model's input as a picture again: what it sees, as it sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from attnlib.model.inputs import per_channel

if TYPE_CHECKING:
    from attnlib.model.preparation import Preparation

# Rounding of half precision, and of means that are given with three digits.
_TOLERANCE = 0.02


def picture(preparation: Preparation, prepared: Tensor) -> tuple[Image.Image, str]:
    """An RGB picture of a prepared image ``(C, h, w)``, and what is wrong with it in a sentence.

    One channel is drawn grey; of more than three the first three are.

    The normalisation is undone. Where that does not lead back to colours from 0 to 1, the
    normalisation that is known is not the one that was applied: the picture is then stretched to
    its own range instead of cut off, and the sentence says so; else it is "".
    """
    tensor = prepared.float().cpu()
    mean, std = (
        torch.tensor(per_channel(numbers, len(tensor))).reshape(-1, 1, 1)
        for numbers in (preparation.mean, preparation.std)
    )
    shown = (tensor * std + mean).nan_to_num()
    shown = shown[:3] if len(shown) >= 3 else shown[:1].expand(3, -1, -1)
    if preparation.channels == "BGR":
        shown = shown.flip(0)
    low, high = float(shown.min()), float(shown.max())
    note = ""
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        note = (
            "The mean and standard deviation that are known do not lead back from the model's "
            f"input to colours from 0 to 1: they give {low:.2f} to {high:.2f}. So this is not how "
            "the input was made, and its picture is stretched to that range."
        )
        shown = (shown - low) / max(high - low, 1e-12)
    pixels = shown.clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()), note
