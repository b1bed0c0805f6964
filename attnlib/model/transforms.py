"""What a transform of torchvision or an image processor of transformers says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from attnlib.data.image import Transform


class Normalise:
    """``(value / 255 - mean) / std`` of ``(C, h, w)`` from 0 to 255, per channel, as float32.

    What torchvision's ``ToTensor`` and ``Normalize`` make of a picture, bit for bit, in half
    their time: nothing is copied in between.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (torch.tensor(one).view(-1, 1, 1) for one in (mean, std))

    def __call__(self, values: Tensor) -> Tensor:
        own = values.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        return own.div_(255).sub_(self.mean).div_(self.std)

    def __repr__(self) -> str:
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return f"Normalise(mean={mean}, std={std})"


_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def callable_of(transform: Any) -> Transform:
    """A plain function out of a transform or an image processor of transformers."""
    if not hasattr(transform, "preprocess"):
        return transform  # type: ignore[no-any-return]

    def prepare(image: Image.Image) -> Tensor:
        batch = transform(images=image, return_tensors="pt")
        return batch["pixel_values"][0]  # type: ignore[no-any-return]

    return prepare


def told_by(transform: Any) -> dict[str, Any]:
    """The settings that a transform tells, by the names of
    :class:`attnlib.model.preparation.Preparation`; what it does not tell is left out.
    """
    return _processor(transform) if hasattr(transform, "preprocess") else _steps(transform)


def _processor(processor: Any) -> dict[str, Any]:
    def on(name: str) -> bool:
        return bool(getattr(processor, name, False))

    told: dict[str, Any] = {}
    scale = float(getattr(processor, "rescale_factor", 1 / 255)) if on("do_rescale") else 1.0
    mean = getattr(processor, "image_mean", None) if on("do_normalize") else None
    std = getattr(processor, "image_std", None) if on("do_normalize") else None
    mean, std = (v if isinstance(v, list | tuple) else None for v in (mean, std))
    # In units of 0..1, whatever the processor scales its pixels to.
    whole = 255 * scale
    told["mean"] = tuple(float(v) / whole for v in mean or (0.0, 0.0, 0.0))
    told["std"] = tuple(float(v) / whole for v in std or (1.0, 1.0, 1.0))
    told["interpolation"] = _PILLOW.get(int(getattr(processor, "resample", None) or 0))
    size, crop = (_sides(getattr(processor, name, None)) for name in ("size", "crop_size"))
    if on("do_resize") and size is not None:
        if on("do_center_crop") and crop is not None:
            told["crop_pct"] = crop[0] / size[0]
            told["crop_mode"] = "center" if len(size) == 1 else "squash"
        elif len(size) == 2:
            told |= {"crop_pct": 1.0, "crop_mode": "squash"}
    return {name: value for name, value in told.items() if value is not None}


def _sides(size: Any) -> tuple[int, ...] | None:
    """``(shortest,)`` or ``(height, width)`` of a processor's size."""
    for keys in (("shortest_edge",), ("height", "width")):
        found = [
            size.get(key) if isinstance(size, Mapping) else getattr(size, key, None) for key in keys
        ]
        sides = tuple(side for side in found if isinstance(side, int))
        if len(sides) == len(keys):
            return sides
    return None


def _steps(transform: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    resize: Any = None
    for step in _flat(transform):
        kind, size = type(step).__name__, getattr(step, "size", None)
        if kind == "Resize" and size is not None:
            resize = size if isinstance(size, int) else tuple(size)
            resize = resize[0] if isinstance(resize, tuple) and len(resize) == 1 else resize
            mode = getattr(step, "interpolation", None)
            told["interpolation"] = getattr(mode, "value", None)
            if isinstance(resize, tuple):
                told |= {"crop_pct": 1.0, "crop_mode": "squash"}
        elif kind == "CenterCrop" and size is not None and resize is not None:
            crop = size if isinstance(size, int) else size[0]
            told["crop_pct"] = crop / (resize if isinstance(resize, int) else resize[0])
            told["crop_mode"] = "center" if isinstance(resize, int) else "squash"
        elif hasattr(step, "mean") and hasattr(step, "std"):
            for name in ("mean", "std"):
                told[name] = tuple(torch.as_tensor(getattr(step, name)).flatten().tolist())
    return {name: value for name, value in told.items() if value is not None}


def _flat(transform: Any) -> Iterator[Any]:
    steps = getattr(transform, "transforms", None)
    if steps is None:
        yield transform
        return
    for step in steps:
        yield from _flat(step)
