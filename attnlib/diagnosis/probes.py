"""Other preparations of the same images, tried without decoding them for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from PIL import Image
from timm.data import constants
from torch import Tensor

from attnlib.model import running
from attnlib.model.inputs import per_channel
from attnlib.model.preparation import DEFAULTS, Preparation, own_config
from attnlib.model.vit import Vit

Factor = Literal["channels", "scale", "statistics", "crop", "interpolation"]
Changes = Mapping[str, Any]
BATCH: Final = 32

_CIFAR = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2470, 0.2435, 0.2616)}
STATISTICS: Final[tuple[Changes, ...]] = (
    {"mean": constants.IMAGENET_DEFAULT_MEAN, "std": constants.IMAGENET_DEFAULT_STD},
    {"mean": (0.5,) * 3, "std": (0.5,) * 3},
    {"mean": constants.OPENAI_CLIP_MEAN, "std": constants.OPENAI_CLIP_STD},
    _CIFAR,
    {"mean": (0.0,) * 3, "std": (1.0,) * 3},
    {"mean": (0.0,) * 3, "std": (1 / 255,) * 3},
)
CROPS: Final[tuple[Changes, ...]] = (
    {"crop_pct": 1.0, "crop_mode": "center"},
    {"crop_pct": 0.875, "crop_mode": "center"},
    {"crop_pct": 0.7, "crop_mode": "center"},
    {"crop_pct": 0.5, "crop_mode": "center"},
    {"crop_pct": 1.0, "crop_mode": "squash"},
    {"crop_pct": 1.0, "crop_mode": "border"},
)
INTERPOLATIONS: Final[tuple[Changes, ...]] = (
    {"interpolation": "bilinear"},
    {"interpolation": "bicubic"},
    {"interpolation": "nearest"},
)
# From this ratio of two standard deviations on, pixels are of another scale (0 to 1 or to 255).
SCALE: Final = 20.0


def colours(vit: Vit) -> list[Changes]:
    """Other orders of channels and normalisations, and both at once."""
    now = vit.preparation
    statistics: list[Changes] = [{"mean": now.mean, "std": now.std}]
    for one in (*_own(vit), *STATISTICS):
        fitted = {name: per_channel(tuple(value), len(now.mean)) for name, value in one.items()}
        if not any(_agrees(known, fitted) for known in statistics):
            statistics.append(fitted)
    orders: list[Changes] = [{}]
    if len(now.mean) >= 3:
        orders.append({"channels": "RGB" if now.channels == "BGR" else "BGR"})
    found: list[Changes] = [{**order, **one} for order in orders for one in [{}, *statistics[1:]]]
    return found[1:]


def factor_of(vit: Vit, setting: str, changes: Changes) -> Factor:
    """What a changed setting is about."""
    if setting in ("mean", "std"):
        ratio = float(np.mean(vit.preparation.std) / np.mean(changes["std"]))
        return "scale" if not 1 / SCALE < ratio < SCALE else "statistics"
    return {"crop_mode": "crop", "crop_pct": "crop"}.get(setting, setting)  # type: ignore[return-value]


def crops(vit: Vit) -> list[Changes]:
    """Other crops."""
    now = (vit.preparation.crop_pct, vit.preparation.crop_mode)
    return [one for one in CROPS if (one["crop_pct"], one["crop_mode"]) != now]


def interpolations(vit: Vit) -> list[Changes]:
    """Other ways to resize."""
    return [one for one in INTERPOLATIONS if one["interpolation"] != vit.preparation.interpolation]


def resized(vit: Vit, images: Sequence[Image.Image], changes: Changes) -> list[Tensor]:
    """The images as the model would take them but for colours: each ``(1, C, h, w)`` of 0 to 1."""
    made = vit.preparation.changed(dict(changes))
    count = len(made.mean)
    plain = {name: getattr(made, name) for name in DEFAULTS if getattr(made, name) is not None}
    plain |= {"mean": (0.0,) * count, "std": (1.0,) * count, "channels": "RGB"}
    view = vit.prepared(plain)
    return [view.pixels(image) for image in images]


def same(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether images are the same up to rounding."""
    pairs = zip(some, others, strict=True)
    return all(a.shape == b.shape and torch.allclose(a, b, atol=2e-3) for a, b in pairs)


def logits(vit: Vit, plain: Sequence[Tensor], changes: Changes) -> Tensor:
    """``(n, L)`` in float64 of images of :func:`resized`, in the colours of a preparation."""
    made = vit.preparation.changed(dict(changes))
    ready = [_coloured(pixels, made) for pixels in plain]
    parts = [running.logits(vit, ready[i : i + BATCH]) for i in range(0, len(ready), BATCH)]
    return torch.cat(parts)


def _coloured(pixels: Tensor, preparation: Preparation) -> Tensor:
    if preparation.channels == "BGR":
        pixels = torch.cat([pixels[:, :3].flip(1), pixels[:, 3:]], dim=1)
    shape = (1, -1, 1, 1)
    mean = pixels.new_tensor(preparation.mean).view(shape)
    return (pixels - mean) / pixels.new_tensor(preparation.std).view(shape)


def _own(vit: Vit) -> list[Changes]:
    """The normalisation that the module itself says it was trained with."""
    config = own_config(vit.module)
    return [{"mean": config["mean"], "std": config["std"]}] if "mean" in config else []


def _agrees(one: Changes, other: Changes) -> bool:
    return all(np.allclose(one[n], other[n], rtol=0.02, atol=1e-4) for n in ("mean", "std"))
