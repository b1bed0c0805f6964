"""How a module's images are prepared: its size, its transform, its normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn

from attnlib.capture.geometry import input_channels
from attnlib.data.image import Transform
from attnlib.errors import ModelError
from attnlib.model.inputs import per_channel

if TYPE_CHECKING:
    from attnlib.model.build import Built


def own_config(module: nn.Module) -> dict[str, Any]:
    """timm's data configuration of the module: input size, mean, std, crop, interpolation."""
    if getattr(module, "pretrained_cfg", None):
        return dict(resolve_data_config(model=module))
    return {}


def size_of(
    img_size: int | tuple[int, int] | None,
    transform: Any,
    config: dict[str, Any],
    module: nn.Module,
) -> tuple[int, int]:
    """``(height, width)`` of the input in pixels: as given, else the model's, else the transform's.

    Raises:
        ModelError: nothing says it, or it is not positive.
    """
    if img_size is None:
        embed = getattr(module, "patch_embed", None)
        img_size = getattr(embed, "img_size", None)
    if img_size is None and "input_size" in config:
        img_size = config["input_size"][1:]
    if img_size is None and transform is not None:
        blank = _processor(transform)(Image.new("RGB", (64, 64)))
        img_size = (int(blank.shape[1]), int(blank.shape[2]))
    if img_size is None:
        raise ModelError("Give the module's input size (img_size) or its transform.")
    if isinstance(img_size, int):
        img_size = (img_size, img_size)
    height, width = int(img_size[0]), int(img_size[1])
    if min(height, width) < 1:
        raise ModelError(f"img_size must be positive, not {height} x {width}.")
    return height, width


@dataclass(frozen=True)
class Preparation:
    """How an image becomes the model's input.

    Attributes:
        transform: PIL image -> ``(3, h, w)`` float32 tensor.
        size: ``(height, width)`` of the input in pixels.
        mean, std: per channel, of the normalisation that ``transform`` applies.
    """

    transform: Transform
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def prepare(
    built: Built,
    module: nn.Module,
    transform: Any,
    changes: Mapping[str, Any] | None,
    img_size: int | tuple[int, int] | None,
) -> Preparation:
    """The preparation of a built module's images.

    Args:
        transform: as given to :func:`attnlib.load`; it replaces all that is known of the model.
        changes: what to change of what is known (``mean``, ``std``, ``crop_pct``, …).

    Raises:
        ModelError: neither a transform nor a configuration is there.
    """
    config = {**built.data, **(changes or {})}
    size = size_of(img_size, transform, config, module)
    if transform is not None:
        mean, std = _normalisation(transform)
        return Preparation(_processor(transform), size, tuple(mean), tuple(std))
    if not config:
        raise ModelError(
            "This module does not say how its images are prepared: give a transform "
            "(PIL image -> tensor of shape (3, h, w))."
        )
    config["input_size"] = (3, *size)
    # timm's configuration is of the weights' three channels, whatever in_chans says.
    channels = input_channels(module) or 3
    config |= {key: per_channel(config[key], channels) for key in ("mean", "std")}
    keys = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
    made = create_transform(**{k: config[k] for k in keys if k in config}, is_training=False)
    return Preparation(made, size, tuple(config["mean"]), tuple(config["std"]))


def _processor(transform: Any) -> Transform:
    """A plain function out of a transform or an image processor of transformers."""
    if not hasattr(transform, "preprocess"):
        return transform  # type: ignore[no-any-return]

    def prepare(image: Image.Image) -> Tensor:
        batch = transform(images=image, return_tensors="pt")
        return batch["pixel_values"][0]  # type: ignore[no-any-return]

    return prepare


def _normalisation(transform: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of a transform's last normalisation; 0 and 1 without one."""
    if hasattr(transform, "image_mean"):
        return list(transform.image_mean), list(transform.image_std)
    for step in reversed([*getattr(transform, "transforms", []), transform]):
        if hasattr(step, "mean") and hasattr(step, "std"):
            mean, std = (torch.as_tensor(v).flatten().tolist() for v in (step.mean, step.std))
            return mean, std
    return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
