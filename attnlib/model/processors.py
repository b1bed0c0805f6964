"""The image processor that belongs to a model of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from attnlib.errors import ModelError
from attnlib.model.naflex import Folded, NaFlex


def processor_of(
    transformers: Any, place: str, module: nn.Module, options: Mapping[str, Any]
) -> tuple[Any, str, list[str]]:
    """The image processor, what says so, and what a person should know of it."""
    found, source, notes = _read(transformers, place, module, options)
    return Folded(found) if isinstance(module, NaFlex) else found, source, notes


def _read(
    transformers: Any, place: str, module: nn.Module, options: Mapping[str, Any]
) -> tuple[Any, str, list[str]]:
    auto = transformers.AutoImageProcessor
    try:
        return auto.from_pretrained(place, **options), "preprocessor_config.json", []
    except (OSError, ValueError):
        pass
    config: Any = module.config
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", 224)
    height, width = side if isinstance(side, list | tuple) else (side, side)
    mapping = transformers.models.auto.image_processing_auto.IMAGE_PROCESSOR_MAPPING
    try:
        kinds = mapping[type(config)]
    except KeyError as error:
        raise ModelError(
            f"{place} has no preprocessor_config.json, and transformers has no processor for "
            f"{config.model_type}: give a transform."
        ) from error
    kinds = list(kinds.values()) if isinstance(kinds, dict) else list(kinds)
    kind = next(k for k in kinds if k is not None)
    size = {"height": int(height), "width": int(width)}
    if isinstance(module, NaFlex):
        made = kind(patch_size=module.side)
    elif hasattr(kind, "crop_size"):
        made = kind(size=size, crop_size=size)
    else:
        made = kind(size=size)
    note = (
        f"No preprocessor_config.json came with it: images are prepared as transformers does for "
        f"{config.model_type} by default. Compare with your training."
    )
    return made, f"transformers' default for {config.model_type}", [note]
