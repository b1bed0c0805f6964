"""Which attention maps are defined for a model, found by looking at one forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import MIXES_HEADS
from attnlib.capture.tokens import Readout, TokenLayout
from attnlib.errors import CaptureError, ModelError

Role = Literal["layer", "pool", "inside", "local", "refused"]
MapKind = Literal["readout rows", "rollout", "relevance", "per layer", "per window"]

DIFFERENTIAL = (
    "differential attention subtracts two attention maps; the difference is signed, so rows "
    "are no shares and rollout is not defined"
)

# Attention-like modules whose weights do not say how much one token attends to another.
NOT_TOKEN_ATTENTION = {
    "XCA": "cross-covariance attention weighs channels against channels, not tokens",
    "CrossCovarianceAttn": "cross-covariance attention weighs channels, not tokens",
    "ChannelAttention": "channel attention weighs channels against channels, not tokens",
    "ChannelAttentionV2": "channel attention weighs channels against channels, not tokens",
    "GlobalContext": "a global context block has one weight per position and no queries",
    "FactorAttnConvRelPosEnc": (
        "factorised attention multiplies keys and values first and never forms weights between "
        "tokens"
    ),
    "LinearSelfAttention": "linear attention has one weight per position and no queries",
    "EfficientAdditiveAttention": "additive attention has one weight per token and no queries",
    "BatNonLocalAttn": "a bilinear transform has no weights between queries and keys",
    "SplitAttn": "split attention weighs channels, not tokens",
    "SelectiveKernelAttn": "a selective kernel weighs channels, not tokens",
    "HSMSSD": "a state-space mixer has no weights between tokens",
    "LambdaLayer": "a lambda layer never forms weights between queries and keys",
    "DiffAttention": DIFFERENTIAL,
    "DiffParallelScalingBlock": DIFFERENTIAL,
}

# How far the tokens of an attention pool may be coarser than what the first convolution makes.
COARSER = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Seen:
    """One attention call of a pass over one image: where, by what, ``(B, H, Tq, Tk)``, how."""

    module: str
    kind: str
    shape: tuple[int, int, int, int]
    spelling: str


@dataclass(frozen=True)
class Facts:
    """What is read off a model and one pass through it; all that classification rests on.

    Attributes:
        model: class name.
        calls: in the order in which the model makes them.
        kinds: class names of its modules.
        scripted: whether it is traced or scripted (``torch.jit``).
        grid, patch: as :func:`patch_grid` says; None without a patch embedding.
        prefix: names of the tokens before the patches.
        pooling: how the model says that it pools: ``"token"``, ``"avg"``, ...; None if it does
            not say.
        pool_prefix: whether an average includes the prefix tokens.
        joins: whether there is a CLS token (that may join after the layers).
        both: how the prediction uses a second vector: ``"dist"`` (a second head for the
            distillation token), ``"average"`` (CLS and mean, concatenated) or nothing.
        problem: why the pass's result is of no use, if so.
    """

    model: str
    calls: tuple[Seen, ...]
    kinds: frozenset[str]
    scripted: bool
    grid: tuple[int, int] | None
    patch: tuple[int, int] | None
    prefix: tuple[str, ...]
    pooling: str | None
    pool_prefix: bool
    joins: bool
    both: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Support:
    """What each attention call of a model is, in the order in which the model makes them.

    Attributes:
        roles: ``"layer"``: all tokens to all tokens, ``(T, T)``; ``"pool"``: a few queries over
            all tokens (attention pooling, class attention); ``"inside"``: within one patch, so
            nothing moves between patches (TNT); ``"local"``: windows, reduced keys or another
            grid; ``"refused"``: no token attention.
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
        ModelError: the model does not run on images of this size, or gives no logits.
        CaptureError: no attention between tokens was seen; the message names what was.
    """
    facts = observe(module, size)
    found = classify(facts)
    if facts.problem:
        raise ModelError(facts.problem)
    return found


def observe(module: nn.Module, size: tuple[int, int]) -> Facts:
    """The facts of one pass over one empty image ``(height, width)``; on any device, meta too.

    Raises:
        ModelError: the model does not run on images of this size, or gives no logits and shows
            no attention either.
    """
    calls: list[Seen] = []

    def note(call: AttentionCall) -> None:
        calls.append(Seen(call.module, call.kind, call.shape, call.spelling))

    parameter = next(module.parameters())
    pixels = torch.zeros(1, 3, *size, dtype=parameter.dtype, device=parameter.device)
    problem = ""
    try:
        with torch.inference_mode(), passes.admitted():
            passes.forward(module, pixels, note)
    except ModelError as error:
        if not calls:
            raise
        problem = str(error)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ModelError(
            f"The model does not run on an image of {size[0]} x {size[1]} pixels: {error}"
        ) from error
    grid: tuple[int, int] | None
    patch: tuple[int, int] | None
    try:
        grid, patch = patch_grid(module, size)
    except CaptureError:
        grid = _grid_of_calls(calls, size, len(prefix_tokens(module)))
        patch = None if grid is None else (size[0] // grid[0], size[1] // grid[1])
    return Facts(
        model=type(module).__name__,
        calls=tuple(calls),
        kinds=frozenset(type(child).__name__ for child in module.modules()),
        scripted=any(isinstance(child, torch.jit.ScriptModule) for child in module.modules()),
        grid=grid,
        patch=patch,
        prefix=prefix_tokens(module),
        pooling=_pooling(module),
        pool_prefix=bool(getattr(module, "pool_include_prefix", False)),
        joins=any("cls_token" in name for name, _ in module.named_parameters()),
        both=_second_vector(module),
        problem=problem,
    )


def _grid_of_calls(calls: list[Seen], size: tuple[int, int], prefix: int) -> tuple[int, int] | None:
    """The grid of the first full attention, if its tokens fill one of the image's shape."""
    for call in calls:
        batch, _, queries, keys = call.shape
        if batch == 1 and queries == keys > prefix:
            rows = round(math.sqrt((keys - prefix) * size[0] / size[1]))
            cols = (keys - prefix) // max(rows, 1)
            if rows * cols == keys - prefix and rows * size[1] == cols * size[0]:
                return rows, cols
    return None


def classify(facts: Facts) -> tuple[TokenLayout, Support]:
    """What the tokens are and which maps are defined.

    Raises:
        CaptureError: no attention between tokens was seen; the message names what was.
    """
    calls = facts.calls
    if not calls:
        raise CaptureError(_nothing_seen(facts))
    if facts.grid is None or facts.patch is None:
        raise CaptureError("The model has no patch embedding, so its tokens have no place.")
    if all(call.kind in NOT_TOKEN_ATTENTION for call in calls):
        reasons = {NOT_TOKEN_ATTENTION[call.kind] for call in calls}
        raise CaptureError(
            "This model's attention gives no map of tokens: " + "; ".join(sorted(reasons)) + "."
        )
    grid, patch = facts.grid, facts.patch
    roles = _roles(calls, grid, len(facts.prefix))
    if "layer" not in roles and "pool" not in roles:
        for factor in COARSER:
            coarser = (-(-grid[0] // factor), -(-grid[1] // factor))
            again = _roles(calls, coarser, len(facts.prefix))
            # Only for the pool at the end: full attention on a coarser grid has other
            # operations before it that move things between patches.
            if again[-1] == "pool" and coarser[0] * coarser[1] > 1:
                grid, patch = coarser, (patch[0] * factor, patch[1] * factor)
                roles = tuple(r if r in ("pool", "refused") else "local" for r in again)
                break
    patches = grid[0] * grid[1]
    widths = {call.shape[3] for role, call in zip(roles, calls, strict=True) if role == "layer"}
    if "local" in roles or len(widths) > 1:
        # Among windows or stages a full layer is one more layer in its own shape; where the
        # class token joins midway (ConViT), layers do not share their tokens either.
        roles = tuple("local" if role == "layer" else role for role in roles)
    # CaiT's class token joins after the last layer: count what the layers really hold.
    prefix = facts.prefix[: max(widths, default=patches) - patches]
    pooled, pool_prefix = readout_of(facts, prefix, "pool" in roles)
    layout = TokenLayout(prefix, grid, patch, pooled, pool_prefix)
    maps, reason = _maps(roles, pooled, calls)
    names, shapes = tuple(call.module for call in calls), tuple(call.shape for call in calls)
    return layout, Support(roles, names, shapes, maps, reason)


def _roles(calls: tuple[Seen, ...], grid: tuple[int, int], prefix: int) -> tuple[Role, ...]:
    return tuple(_role(call.kind, call.shape, grid[0] * grid[1], prefix) for call in calls)


def _role(kind: str, shape: tuple[int, int, int, int], patches: int, prefix: int) -> Role:
    if kind in NOT_TOKEN_ATTENTION:
        return "refused"
    batch, _, queries, keys = shape
    whole = batch == 1 and patches <= keys <= patches + max(prefix, 1)
    if whole and queries == keys:
        return "layer"
    if whole and queries <= 2 < patches:
        return "pool"
    if batch == patches > 1 and queries == keys:
        return "inside"
    return "local"


def _maps(
    roles: tuple[Role, ...], readout: Readout, calls: tuple[Seen, ...]
) -> tuple[frozenset[MapKind], str]:
    maps: set[MapKind] = set()
    reasons = []
    if "layer" in roles:
        maps.add("per layer")
    if "local" in roles:
        maps.add("per window")
        reasons.append(
            "some layers attend within windows, to reduced keys or on another grid, so attention "
            "cannot be carried from the output to the patches of the input"
        )
    if "refused" in roles:
        kinds = {call.kind for role, call in zip(roles, calls, strict=True) if role == "refused"}
        reasons += sorted({NOT_TOKEN_ATTENTION[kind] for kind in kinds})
    if readout == "none":
        reasons.append("the model pools in a way for which no attention row stands")
    elif "layer" in roles and "local" not in roles and "refused" not in roles:
        maps |= {"readout rows", "rollout"}
        if MIXES_HEADS.isdisjoint(call.kind for call in calls):
            maps.add("relevance")
        else:
            reasons.append(
                "heads are mixed after the softmax, so a gradient does not belong to one head"
            )
    elif roles[-1] == "pool":
        maps.add("readout rows")
        if not reasons:
            reasons.append("attention only pools here; the layers before it have none")
    return frozenset(maps), "; ".join(reasons)


def patch_grid(module: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """``(rows, cols)`` of the patch grid and ``(height, width)`` of a patch in pixels.

    Read from timm's ``patch_embed`` (what is before it in a hybrid included) where there is one,
    else from the first convolution over the colour channels, whose stride is the patch size in
    every plain ViT.

    Raises:
        CaptureError: neither is there.
    """
    embed: Any = getattr(module, "patch_embed", None) or getattr(module, "pixel_embed", None)
    if isinstance(embed, nn.ModuleList):
        embed = embed[0]
    ratio = getattr(embed, "feat_ratio", None)
    patch = ratio(as_scalar=False) if callable(ratio) else getattr(embed, "patch_size", None)
    counts = getattr(embed, "dynamic_feat_size", None)
    if patch is None and getattr(embed, "grid_size", None) is not None:
        # TNT: the first convolution makes the pixels inside a patch, not the patches.
        patch = (size[0] // embed.grid_size[0], size[1] // embed.grid_size[1])
    if patch is None:
        for child in module.modules():
            if isinstance(child, nn.Conv2d) and child.in_channels == 3:
                patch = child.stride
                break
    if patch is None:
        raise CaptureError("The model has no patch embedding, so its tokens have no place.")
    rows, cols = (patch, patch) if isinstance(patch, int) else (int(patch[0]), int(patch[1]))
    grid = counts(size) if callable(counts) else (size[0] // rows, size[1] // cols)
    return (int(grid[0]), int(grid[1])), (rows, cols)


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


def readout_of(facts: Facts, prefix: tuple[str, ...], pools: bool) -> tuple[Readout, bool]:
    """Which query stands for the prediction, and whether averaging includes prefix tokens."""
    if facts.pooling == "avg":
        return "average", facts.pool_prefix
    if pools:
        joins = facts.joins and facts.pooling != "map" and "cls" not in prefix
        return ("class attention" if joins else "pool"), False
    if prefix[:1] == ("cls",) and facts.pooling in (None, "token"):
        if facts.both == "average":
            return "cls+average", False
        both = facts.both == "dist" and prefix[:2] == ("cls", "dist")
        return ("cls+dist" if both else "cls"), False
    if facts.pooling is None and not prefix:
        return "average", False
    return "none", False


def _pooling(module: nn.Module) -> str | None:
    """How the model says that it pools: timm's ``global_pool``, transformers' configuration."""
    if getattr(getattr(module, "config", None), "use_mean_pooling", False):
        return "avg"
    pooling = getattr(module, "global_pool", None)
    return pooling if isinstance(pooling, str) else None


def _second_vector(module: nn.Module) -> str:
    """What the prediction rests on besides the CLS token: see :class:`Facts`."""
    if hasattr(module, "head_dist") or hasattr(module, "distillation_classifier"):
        return "dist"
    width = getattr(getattr(module, "config", None), "hidden_size", None)
    classifier = getattr(module, "classifier", None)
    if isinstance(classifier, nn.Linear) and classifier.in_features == 2 * (width or 0):
        return "average"
    return ""


def _has(module: nn.Module, *names: str) -> bool:
    return any(name.rpartition(".")[2] in names for name, _ in module.named_parameters())


def _nothing_seen(facts: Facts) -> str:
    if facts.scripted:
        return (
            "This model is traced or scripted (torch.jit): its operators run outside Python, "
            "where attention cannot be seen. Load the original module instead."
        )
    known = sorted(kind for kind in facts.kinds if kind in NOT_TOKEN_ATTENTION)
    if known:
        reasons = "; ".join(sorted({NOT_TOKEN_ATTENTION[kind] for kind in known}))
        return f"{facts.model} has no attention between tokens: {reasons}."
    return (
        f"{facts.model} computes no attention between tokens; it seems to be a "
        "convolutional or MLP model. Choose a Vision Transformer."
    )
