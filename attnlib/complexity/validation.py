"""What is impossible about an architecture, field by field, in words for the person on screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnlib.complexity.problem import Problem, is_count

if TYPE_CHECKING:
    from attnlib.complexity.architecture import Architecture


LIMITS = {
    "image": 65_536,
    "patch": 65_536,
    "dim": 65_536,
    "depth": 1_000,
    "heads": 4_096,
    "mlp_hidden": 1_048_576,
    "channels": 4_096,
    "registers": 65_536,
    "classes": 10_000_000,
    "head_dim": 65_536,
    "branches": 64,
    "pool_heads": 4_096,
    "pool_mlp_hidden": 1_048_576,
}
_LABELS = {
    "image": "image size",
    "patch": "patch size",
    "dim": "embedding dimension",
    "depth": "depth",
    "heads": "number of heads",
    "mlp_hidden": "hidden width of the MLP",
    "channels": "number of image channels",
    "registers": "number of register tokens",
    "classes": "number of classes",
    "head_dim": "width of a head",
    "branches": "number of branches",
    "pool_heads": "number of heads of the attention pool",
    "pool_mlp_hidden": "hidden width of the attention pool",
}
_CHOICES: dict[str, tuple[object, ...]] = {
    "norm": ("layer", "rms"),
    "qkv_bias": ("qkv", "qv", "none"),
    "differential": ("none", "vectors", "scalars"),
    "position": ("all", "patches", "none"),
    "relative_position": ("none", "per layer", "shared"),
    "rope": ("none", "fixed", "mixed"),
    "pool": ("token", "avg", "max", "avgmax", "map", "none"),
    "block_norms": (1, 2),
    "layer_scales": (0, 1, 2),
}
_SWITCHES: tuple[str, ...] = (
    "pads",
    "class_token",
    "distillation_token",
    "glu",
    "out_bias",
    "qk_norm",
)
_SWITCHES += ("attention_norm", "attention_gate", "mlp_norm", "patch_bias", "patch_norm")
_SWITCHES += ("pre_norm", "final_norm", "pooled_norm", "pool_prefix")
_MAY_BE_ZERO = {"registers", "classes", "pool_heads", "pool_mlp_hidden"}


def problems_of(a: Architecture) -> list[Problem]:
    """Everything that is impossible about an architecture; later checks need the earlier."""
    found = [
        problem
        for field in LIMITS
        if (value := getattr(a, field)) is not None or field != "head_dim"
        for problem in _range_problems(field, value)
    ]
    for field, choices in _CHOICES.items():
        if getattr(a, field) not in choices:
            listed = ", ".join(map(str, choices))
            found.append(Problem(field, f"{field} must be one of: {listed}."))
    for field in _SWITCHES:
        if not isinstance(getattr(a, field), bool):
            found.append(Problem(field, f"{field} must be True or False."))
    if found:
        return found
    for axis, side, patch in zip(("height", "width"), a.image, a.patch, strict=True):
        if patch > side:
            found.append(
                Problem("patch", f"The patch {axis} {patch} is larger than the image {axis} "
                                 f"{side}. Choose a smaller patch or a larger image.")
            )  # fmt: skip
    if a.head_dim is None and a.dim % a.heads:
        near = max(n for n in range(1, a.heads + 1) if a.dim % n == 0)
        found.append(
            Problem("heads", f"{a.heads} heads do not divide the embedding dimension {a.dim}. "
                             f"Use {near} heads, or a multiple of {a.heads} as the dimension.")
        )  # fmt: skip
    elif a.differential != "none" and a.head_width % 2:
        found.append(Problem("heads", f"Differential attention halves the head width, and "
                                      f"{a.head_width} is odd."))  # fmt: skip
    if a.kv_heads is not None and (
        len(a.kv_heads) != a.depth
        or not all(is_count(n) and n >= 1 and a.heads % n == 0 for n in a.kv_heads)
    ):
        found.append(Problem("kv_heads", "Key/value heads need one number per block that divides "
                                         f"the {a.heads} heads."))  # fmt: skip
    if a.pool == "token" and not a.class_token:
        found.append(Problem("pool", "Reading the class token needs a class token. Add one, or "
                                     "pool the average."))  # fmt: skip
    if a.pool == "map" and (a.pool_heads < 1 or a.dim % a.pool_heads):
        found.append(Problem("pool_heads", "The heads of the attention pool must divide the "
                                           f"embedding dimension {a.dim}."))  # fmt: skip
    return found


def _range_problems(field: str, value: object) -> list[Problem]:
    least, most = 0 if field in _MAY_BE_ZERO else 1, LIMITS[field]
    wants = f"whole numbers from {least} to {most}"
    if field in ("image", "patch"):
        if not isinstance(value, tuple) or len(value) != 2:
            return [Problem(field, f"The {_LABELS[field]} must be (height, width), {wants}.")]
        numbers: tuple[object, ...] = value
    else:
        numbers = (value,)
    if all(is_count(n) and least <= n <= most for n in numbers):
        return []
    shown = repr(value)[:60] if _shows_short(value) else "what was given"
    return [Problem(field, f"The {_LABELS[field]} must be {wants}, not {shown}.")]


def _shows_short(value: object) -> bool:
    # str() of an integer of more than 4300 digits raises.
    if isinstance(value, tuple):
        return all(_shows_short(part) for part in value)
    return not isinstance(value, int) or abs(value) < 10**30
