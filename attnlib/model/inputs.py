"""A picture, or an array that is no picture, as the model's input, and back to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attnlib.data.image import MODES, Transform
from attnlib.errors import AttnlibError, ModelError

Picture = Image.Image | NDArray[Any] | Tensor


def prepared(image: Picture, transform: Transform, channels: int) -> Tensor:
    """The model's input for one image, ``(C, h, w)`` of floating-point numbers.

    Args:
        image: a picture, decoded as grey for one channel and with its opacity for four; or an
            array ``(C, h, w)`` that is the model's input already: resized, normalised.
        transform: what prepares a picture.
        channels: C, of the model's input.

    Raises:
        ModelError: the image has not the model's channels, or the transform fails on it.
    """
    if isinstance(image, Image.Image):
        if channels not in MODES:
            raise ModelError(
                f"This model takes {channels} channels, which no picture has. Give arrays of shape "
                f"({channels}, height, width), prepared as the model takes them, to attnlib in "
                "Python: vit.inspect(array)."
            )
        try:
            made: Any = transform(image.convert(MODES[channels]))
        except AttnlibError:
            raise
        except Exception as error:
            # A transform is other people's code, like a module.
            text = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
            raise ModelError(f"The transform fails on this image: {text}.") from error
    else:
        made = image
    if isinstance(made, np.ndarray):
        made = torch.from_numpy(np.ascontiguousarray(made))
    if isinstance(made, Tensor) and made.ndim == 4 and len(made) == 1:
        made = made[0]
    if not isinstance(made, Tensor) or made.ndim != 3 or made.shape[0] != channels:
        shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
        whose = "The transform returns" if isinstance(image, Image.Image) else "The array is"
        raise ModelError(
            f"{whose} {shape}, not a tensor of shape ({channels}, height, width), which this "
            "model takes."
        )
    if not made.is_floating_point():
        raise ModelError(
            f"The model takes normalised numbers, not {made.dtype}: divide by 255 and normalise "
            "as in training."
        )
    return made


def per_channel(numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    """One number per channel: those given, and their mean for channels that have none."""
    if len(numbers) == channels:
        return tuple(numbers)
    mean = sum(numbers) / len(numbers)
    known = tuple(numbers) if 1 < len(numbers) < channels else ()
    return (*known, *(mean for _ in range(channels - len(known))))
