"""Options of an architecture: those that the shapes of weights reveal, and those they cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

Shapes = Mapping[str, Tensor]

# The same weight in the spellings of timm, open_clip, torchvision, MONAI, DINOv2, most first.
_PATCHES = ("patch_embed.proj.weight", "visual.conv1.weight", "conv1.weight")
_POSITIONS = ("pos_embed", "visual.positional_embedding")
_REGISTERS = ("reg_token", "register_tokens")
_CLASS = ("cls_token", "visual.class_embedding")


def revealed(module: nn.Module, state: Shapes, aligned: Shapes) -> dict[str, Any]:
    """Options with which the architecture would have the shapes of the weights.

    Args:
        module: the architecture as built so far, on any device.
        state: the weights under its names where they have them, not yet resized.
        aligned: the same as timm's filter made them.
    """
    expected = module.state_dict()
    found: dict[str, Any] = {}
    classes = _classes(module, aligned)
    if classes is not None and classes != getattr(module, "num_classes", classes):
        found["num_classes"] = classes
    found.update(_window(module, state))
    conv = _first(state, _PATCHES)
    wanted = expected.get("patch_embed.proj.weight")
    if conv is None or wanted is None or conv.ndim != 4 or wanted.ndim != 4:
        return found
    if conv.shape[1] != wanted.shape[1]:
        found["in_chans"] = int(conv.shape[1])
    if conv.shape[2:] != wanted.shape[2:]:
        height, width = (int(n) for n in conv.shape[2:])
        found["patch_size"] = height if height == width else (height, width)
    if hasattr(module, "num_prefix_tokens") and hasattr(module, "blocks"):
        found.update(_tokens(module, state, _patch(module, conv, wanted)))
    if hasattr(module, "reg_token") and hasattr(module, "fc_norm"):
        found.update(_parts(expected, state, aligned))
    return found


def _first(state: Shapes, names: tuple[str, ...]) -> Tensor | None:
    return next((state[name] for name in names if name in state), None)


def classifier(module: nn.Module) -> str:
    """The name of a timm model's classifier, ``"head"``; "" where it is not known."""
    names = (getattr(module, "pretrained_cfg", None) or {}).get("classifier") or ""
    return names if isinstance(names, str) else str(names[0])


def _classes(module: nn.Module, aligned: Shapes) -> int | None:
    """The number of classes of the classifier in the weights; 0 where there is none."""
    name = classifier(module)
    weight = aligned.get(f"{name}.weight")
    if weight is not None and weight.ndim in (2, 4):
        return int(weight.shape[0])
    bare = bool(name) and not any(key.startswith(f"{name}.") for key in aligned)
    known = module.state_dict().keys() & aligned.keys()
    return 0 if bare and 2 * len(known) > len(aligned) else None


def _window(module: nn.Module, state: Shapes) -> dict[str, Any]:
    """The side of Swin's windows, told by its table of relative positions."""
    expected = module.state_dict()
    for name, tensor in state.items():
        if name.endswith("relative_position_bias_table") and name in expected:
            rows = int(tensor.shape[0])
            side = math.isqrt(rows)
            if rows == expected[name].shape[0] or side * side != rows or side % 2 == 0:
                return {}
            return {"window_size": (side + 1) // 2} if hasattr(module, "layers") else {}
    return {}


def _patch(module: nn.Module, conv: Tensor, wanted: Tensor) -> tuple[int, int]:
    """``(height, width)`` of a patch in pixels; a hybrid's is larger than its last kernel."""
    kernel = int(conv.shape[2]), int(conv.shape[3])
    embed = getattr(module, "patch_embed", None)
    size, grid = getattr(embed, "img_size", None), getattr(embed, "grid_size", None)
    if not (isinstance(size, tuple) and isinstance(grid, tuple)):
        return kernel
    steps = [s // g // w for s, g, w in zip(size, grid, wanted.shape[2:], strict=True)]
    return kernel[0] * max(steps[0], 1), kernel[1] * max(steps[1], 1)


def _tokens(module: nn.Module, state: Shapes, patch: tuple[int, int]) -> dict[str, Any]:
    """Image size, class token and registers, told by the numbers of tokens.

    Args:
        patch: ``(height, width)`` in pixels.
    """
    found: dict[str, Any] = {}
    registers = _first(state, _REGISTERS)
    count = 0 if registers is None else int(registers.shape[1])
    if count != getattr(module, "num_reg_tokens", count):
        found["reg_tokens"] = count
    positions = _first(state, _POSITIONS)
    if positions is None:
        return found
    length = int(positions.shape[-2])
    classed = 1 if _first(state, _CLASS) is not None else 0
    if "register_tokens" in state:
        # DINOv2's positions cover the class token, and timm's filter adds that one to it.
        patches, apart = length - classed, True
    elif _square(length - classed - count) and length > classed + count:
        patches, apart = length - classed - count, classed + count == 0
    elif _square(length):
        patches, apart = length, True
    else:
        return found
    if classed + count and apart != getattr(module, "no_embed_class", apart):
        found["no_embed_class"] = apart
    side = math.isqrt(patches)
    size = (side * patch[0], side * patch[1])
    embed = getattr(module, "patch_embed", None)
    if side * side == patches and getattr(embed, "img_size", None) != size:
        found["img_size"] = size
    return found


def _square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def _parts(expected: Shapes, state: Shapes, aligned: Shapes) -> dict[str, Any]:
    """Options of timm's VisionTransformer, each told by a weight that is there or not."""
    found: dict[str, Any] = {}
    has = aligned.keys()
    classed = _first(state, _CLASS) is not None
    if classed != ("cls_token" in expected):
        found["class_token"] = classed
    pooled = any(name.startswith("attn_pool.") for name in has)
    norm, after = "norm.weight" in has, "fc_norm.weight" in has
    if pooled:
        if "attn_pool.latent" not in expected:
            found["global_pool"] = "map"
    elif "attn_pool.latent" in expected or (not classed and "cls_token" in expected):
        found["global_pool"] = "token" if classed else "avg"
        if norm != after:
            found["fc_norm"] = after
    elif (norm, after) != ("norm.weight" in expected, "fc_norm.weight" in expected):
        if after:
            found["global_pool"] = "avg"
            if norm:
                found["fc_norm"] = True
        elif norm:
            found |= {"global_pool": "token"} if classed else {"fc_norm": False}
    block = {
        "qk_norm": ("attn.q_norm.weight", True, False),
        "qkv_bias": ("attn.qkv.bias", True, False),
        "init_values": ("ls1.gamma", 1e-5, None),
        "scale_attn_norm": ("attn.norm.weight", True, False),
        "scale_mlp_norm": ("mlp.norm.weight", True, False),
    }
    for option, (name, present, absent) in block.items():
        if (f"blocks.0.{name}" in has) != (f"blocks.0.{name}" in expected):
            found[option] = present if f"blocks.0.{name}" in has else absent
    if ("norm_pre.weight" in has) != ("norm_pre.weight" in expected):
        found["pre_norm"] = "norm_pre.weight" in has
    first, second = aligned.get("blocks.0.mlp.fc1.weight"), aligned.get("blocks.0.mlp.fc2.weight")
    wanted = expected.get("blocks.0.mlp.fc1.weight")
    plain = first is not None and second is not None and first.shape == second.shape[::-1]
    if first is not None and wanted is not None and plain and first.shape[0] != wanted.shape[0]:
        found["mlp_ratio"] = first.shape[0] / first.shape[1]
    return found


def unrevealed(module: nn.Module, said: Mapping[str, Any]) -> str | None:
    """The options that no shape tells, in a sentence with the values taken; None if all are said.

    Args:
        said: options that a person or the checkpoint gave.
    """
    taken = []
    pool = getattr(module, "global_pool", None)
    if isinstance(pool, str) and pool and not said.keys() & {"global_pool", "class_token"}:
        taken.append(f"pooling (global_pool: {pool})")
    blocks = getattr(module, "blocks", None)
    block = blocks[0] if isinstance(blocks, nn.Sequential | nn.ModuleList) and blocks else None
    heads = getattr(getattr(block, "attn", None), "num_heads", None)
    if heads is not None and "num_heads" not in said:
        taken.append(f"number of heads (num_heads: {heads})")
    act = getattr(getattr(block, "mlp", None), "act", None)
    if act is not None and "act_layer" not in said:
        taken.append(f"activation (act_layer: {type(act).__name__})")
    if getattr(module, "num_reg_tokens", 0) and "no_embed_class" not in said:
        covered = "no" if getattr(module, "no_embed_class", False) else "yes"
        taken.append(f"whether registers have positions ({covered})")
    if not taken:
        return None
    return (
        f"Shapes do not show {'; '.join(taken)}: taken as the architecture has it. If the "
        "training chose otherwise, say so in the model's options (model_args)."
    )
