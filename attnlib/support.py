"""Which attention maps are defined for a model, found by looking at one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from attnlib import inference
from attnlib.capture import MIXES_HEADS, AttentionCall
from attnlib.errors import CaptureError, ModelError
from attnlib.tokens import Readout, TokenLayout

Role = Literal["layer", "pool", "local", "refused"]
MapKind = Literal["readout rows", "rollout", "relevance", "per layer", "per window"]

# Attention-like modules whose weights do not say how much one token attends to another.
NOT_TOKEN_ATTENTION = {
    "XCA": "cross-covariance attention weighs channels against channels, not tokens",
    "CrossCovarianceAttn": "cross-covariance attention weighs channels, not tokens",
    "ChannelAttention": "channel attention weighs channels against channels, not tokens",
    "ChannelAttentionV2": "channel attention weighs channels against channels, not tokens",
    "GlobalContext": "a global context block has one weight per position and no queries",
    "LambdaLayer": "a lambda layer never forms weights between queries and keys",
    "DiffAttention": (
        "differential attention subtracts two attention maps; the difference is signed, so rows "
        "are no shares and rollout is not defined"
    ),
}


@dataclass(frozen=True)
class Support:
    """What each attention call of a model is, in the order in which the model makes them.

    Attributes:
        roles: ``"layer"``: all tokens to all tokens, ``(T, T)``; ``"pool"``: a few queries over
            all tokens (attention pooling, class attention); ``"local"``: windows, reduced keys
            or another grid; ``"refused"``: no token attention.
        names: module name of each call.
        shapes: ``(B, H, Tq, Tk)`` of each call for one image.
        maps: the kinds of map that are defined.
        reason: why kinds are missing; empty if none is.
    """

    roles: tuple[Role, ...]
    names: tuple[str, ...]
    shapes: tuple[tuple[int, int, int, int], ...]
    maps: frozenset[MapKind]
    reason: str = ""

    def calls(self, *roles: Role) -> tuple[int, ...]:
        """Positions of the calls with one of the given roles."""
        return tuple(i for i, role in enumerate(self.roles) if role in roles)


def examine(module: nn.Module, size: tuple[int, int]) -> tuple[TokenLayout, Support]:
    """Run one empty image of ``(height, width)`` pixels and read the layout off the model.

    Raises:
        ModelError: the model does not run on images of this size.
        CaptureError: no attention between tokens was seen; the message names what was.
    """
    seen: list[tuple[str, str, tuple[int, int, int, int]]] = []

    def note(call: AttentionCall) -> None:
        seen.append((call.module, call.kind, call.shape))

    parameter = next(module.parameters())
    pixels = torch.zeros(1, 3, *size, dtype=parameter.dtype, device=parameter.device)
    try:
        with torch.inference_mode(), inference.admitted():
            inference.forward(module, pixels, note)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ModelError(
            f"The model does not run on an image of {size[0]} x {size[1]} pixels: {error}"
        ) from error
    if not seen:
        raise CaptureError(_nothing_seen(module))
    grid, patch = patch_grid(module, size)
    prefix = prefix_tokens(module)
    roles = tuple(_role(kind, shape, grid, len(prefix)) for _, kind, shape in seen)
    if "layer" not in roles and "pool" not in roles and "local" not in roles:
        reasons = {NOT_TOKEN_ATTENTION.get(kind, "") for _, kind, _ in seen}
        raise CaptureError(
            "This model has no attention between tokens: " + "; ".join(sorted(reasons)) + "."
        )
    widths = {shape[3] for role, (_, _, shape) in zip(roles, seen, strict=True) if role == "layer"}
    layered = max(widths, default=grid[0] * grid[1])
    # CaiT's class token joins after the last layer: count what the layers really hold.
    prefix = prefix[: layered - grid[0] * grid[1]]
    pooled, pool_prefix = readout_of(module, prefix, "pool" in roles)
    layout = TokenLayout(prefix, grid, patch, pooled, pool_prefix)
    maps, reason = _maps(roles, pooled, seen)
    names, shapes = tuple(s[0] for s in seen), tuple(s[2] for s in seen)
    return layout, Support(roles, names, shapes, maps, reason)


def _role(kind: str, shape: tuple[int, int, int, int], grid: tuple[int, int], prefix: int) -> Role:
    if kind in NOT_TOKEN_ATTENTION:
        return "refused"
    batch, _, queries, keys = shape
    patches = grid[0] * grid[1]
    whole = batch == 1 and patches <= keys <= patches + max(prefix, 1)
    if whole and queries == keys:
        return "layer"
    if whole and queries <= 2 < patches:
        return "pool"
    return "local"


def _maps(
    roles: tuple[Role, ...], readout: Readout, seen: list[tuple[str, str, tuple[int, int, int, int]]]
) -> tuple[frozenset[MapKind], str]:
    maps: set[MapKind] = set()
    reasons = []
    if "layer" in roles:
        maps.add("per layer")
    if "local" in roles:
        maps.add("per window")
        reasons.append(
            "some layers attend within windows or to reduced keys, so attention cannot be "
            "carried from the output to the patches of the input"
        )
    if "refused" in roles:
        kinds = {kind for role, (_, kind, _) in zip(roles, seen, strict=True) if role == "refused"}
        reasons += [NOT_TOKEN_ATTENTION[kind] for kind in sorted(kinds)]
    if readout == "none":
        reasons.append("the model pools in a way for which no attention row stands")
    elif "layer" in roles and "local" not in roles and "refused" not in roles:
        maps |= {"readout rows", "rollout"}
        if MIXES_HEADS.isdisjoint(kind for _, kind, _ in seen):
            maps.add("relevance")
        else:
            reasons.append(
                "heads are mixed after the softmax, so a gradient does not belong to one head"
            )
    elif "pool" in roles:
        maps.add("readout rows")
    return frozenset(maps), "; ".join(reasons)


def patch_grid(module: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """``(rows, cols)`` of the patch grid and ``(height, width)`` of a patch in pixels.

    Read from timm's ``patch_embed`` where there is one, else from the first convolution over
    the colour channels, whose stride is the patch size in every plain ViT.

    Raises:
        CaptureError: neither is there.
    """
    embed = getattr(module, "patch_embed", None)
    patch = getattr(embed, "patch_size", None)
    if patch is None:
        for child in module.modules():
            if isinstance(child, nn.Conv2d) and child.in_channels == 3:
                patch = child.stride
                break
    if patch is None:
        raise CaptureError("The model has no patch embedding, so its tokens have no place.")
    rows, cols = (patch, patch) if isinstance(patch, int) else (int(patch[0]), int(patch[1]))
    grid = getattr(embed, "dynamic_feat_size", None)
    counts = grid(size) if callable(grid) else (size[0] // rows, size[1] // cols)
    return (int(counts[0]), int(counts[1])), (rows, cols)


def prefix_tokens(module: nn.Module) -> tuple[str, ...]:
    """Names of the tokens before the patches, counted on the model, never assumed."""
    config = getattr(module, "config", None)
    registers = getattr(config, "num_register_tokens", 0) or 0
    names = []
    if _has(module, "cls_token", "class_token", "class_embedding"):
        names.append("cls")
    if _has(module, "dist_token", "distillation_token"):
        names.append("dist")
    count = getattr(module, "num_prefix_tokens", None)
    count = len(names) + registers if count is None else int(count)
    names = names[:count]
    return tuple(names + [f"reg{i + 1}" for i in range(count - len(names))])


def readout_of(module: nn.Module, prefix: tuple[str, ...], pools: bool) -> tuple[Readout, bool]:
    """Which query stands for the prediction, and whether averaging includes prefix tokens."""
    pooling = getattr(module, "global_pool", None)
    include = bool(getattr(module, "pool_include_prefix", False))
    if pooling == "avg":
        return "average", include
    if pools:
        joins = _has(module, "cls_token")
        return ("class attention" if joins else "pool"), False
    if prefix[:2] == ("cls", "dist"):
        return "cls+dist", False
    if prefix[:1] == ("cls",) and pooling in (None, "token"):
        return "cls", False
    if pooling is None and not prefix:
        return "average", False
    return "none", False


def _has(module: nn.Module, *names: str) -> bool:
    return any(
        name.rpartition(".")[2] in names and parameter is not None
        for name, parameter in module.named_parameters()
    )


def _nothing_seen(module: nn.Module) -> str:
    if any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()):
        return (
            "This model is traced or scripted (torch.jit): its operators run outside Python, "
            "where attention cannot be seen. Load the original module instead."
        )
    kinds = {type(child).__name__ for child in module.modules()}
    known = sorted(kind for kind in kinds if kind in NOT_TOKEN_ATTENTION)
    if known:
        reasons = "; ".join(NOT_TOKEN_ATTENTION[kind] for kind in known)
        return f"{type(module).__name__} has no attention between tokens: {reasons}."
    return (
        f"{type(module).__name__} computes no attention between tokens; it seems to be a "
        "convolutional or MLP model. Choose a Vision Transformer."
    )
