"""What is read off a model and one pass through it: all that tells which maps it has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.errors import CaptureError, ModelError


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
