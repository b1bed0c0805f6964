"""What the arguments of a training run, found in its checkpoint, say about model and images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import timm

# Beyond these a file is damaged or hostile; whoever means it can say it.
_LARGEST = 4096
_DEEPEST = 1024
_POOLS = {
    "cls": "token",
    "token": "token",
    "class": "token",
    "avg": "avg",
    "gap": "avg",
    "mean": "avg",
    "map": "map",
    "max": "max",
    "avgmax": "avgmax",
}
_INTERPOLATIONS = {"bilinear", "bicubic", "nearest", "lanczos", "box", "hamming", "random"}
_WHOLE = {"patch_size", "num_heads", "depth", "embed_dim", "reg_tokens", "in_chans", "num_classes"}
_FLAGS = {
    "class_token",
    "qk_norm",
    "qkv_bias",
    "no_embed_class",
    "pre_norm",
    "fc_norm",
    "dynamic_img_size",
}


@dataclass(frozen=True)
class Settings:
    """What a checkpoint's arguments say, in timm's words.

    Attributes:
        architecture: a name of timm, or None.
        options: of the architecture, for ``timm.create_model``.
        data: how images are prepared: ``mean``, ``std``, ``crop_pct``, ``interpolation``, ….
    """

    architecture: str | None
    options: Mapping[str, Any]
    data: Mapping[str, Any]


def settings(arguments: Mapping[str, Any]) -> Settings:
    """Read the settings that are known by their names; whatever else is ignored.

    Args:
        arguments: flat, as :attr:`attnlib.model.checkpoint.Weights.arguments`.
    """
    options: dict[str, Any] = {}
    size = _size(_get(arguments, "img_size", "image_size", "input_size", "imgsz", "resolution"))
    if size is not None:
        options["img_size"] = size
    pools = (_agreed(arguments, key) for key in ("global_pool", "gp", "pool", "pooling"))
    pool = next((_POOLS[str(p).lower()] for p in pools if str(p).lower() in _POOLS), None)
    if pool is not None:
        options["global_pool"] = pool
    for key in ("num_heads", "class_token", "qk_norm", "no_embed_class"):
        options |= _option(key, _agreed(arguments, key))
    # Elsewhere these words mean other things: `depth` of a decoder, `patch_size` of a crop.
    for key, value in arguments.items():
        path, _, last = key.rpartition(".")
        if path.rpartition(".")[2] in ("model_kwargs", "model_args", "model_config"):
            options |= _option(last, value)
    return Settings(_architecture(arguments), options, _data(arguments))


def _get(arguments: Mapping[str, Any], *keys: str) -> Any:
    return next((arguments[key] for key in keys if arguments.get(key) is not None), None)


def _agreed(arguments: Mapping[str, Any], key: str) -> Any:
    """The value of a setting, unless parts of the configuration disagree: encoder and decoder."""
    values = [v for name, v in arguments.items() if name == key or name.endswith(f".{key}")]
    return values[0] if values and all(value == values[0] for value in values) else None


def _option(key: str, value: Any) -> dict[str, Any]:
    if key == "global_pool" and str(value).lower() in _POOLS:
        return {key: _POOLS[str(value).lower()]}
    if key == "img_size" and (size := _size(value)) is not None:
        return {key: size}
    if key in _FLAGS and isinstance(value, bool):
        return {key: value}
    most = _DEEPEST if key == "depth" else 4 * _LARGEST
    if key in _WHOLE and type(value) is int and 0 <= value <= most:
        return {key: value}
    return {}


def _size(value: Any) -> tuple[int, int] | None:
    """``(height, width)`` of a size, or of timm's ``(channels, height, width)``."""
    numbers = value[-2:] if isinstance(value, tuple) and len(value) in (2, 3) else (value, value)
    if not all(type(n) is int and 0 < n <= _LARGEST for n in numbers):
        return None
    return int(numbers[0]), int(numbers[1])


def _architecture(arguments: Mapping[str, Any]) -> str | None:
    keys = ("model", "arch", "architecture", "model_name", "backbone", "encoder", "timm_model")
    for key in (*keys, "model.name", "model.arch", "model.model_name", "model.architecture"):
        value = arguments.get(key)
        if isinstance(value, str):
            name = value.rpartition("/")[2].rpartition(":")[2]
            if timm.is_model(name):
                return name
    return None


def _data(arguments: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, other in (("mean", "image_mean"), ("std", "image_std")):
        value = _get(arguments, key, other)
        three = isinstance(value, tuple) and len(value) == 3
        if three and all(_number(n) and abs(n) < 1000 for n in value):
            found[key] = tuple(float(n) for n in value)
    crop = _get(arguments, "crop_pct")
    if _number(crop) and 0 < crop <= 1:
        found["crop_pct"] = float(crop)
    words = {
        "interpolation": _INTERPOLATIONS,
        "crop_mode": {"center", "squash", "border"},
    }
    for key, allowed in words.items():
        value = str(arguments.get(key)).lower()
        if value in allowed - {"random"}:
            found[key] = value
    if any(s == 0 for s in found.get("std", ())):
        del found["std"]
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and not isinstance(value, bool)
