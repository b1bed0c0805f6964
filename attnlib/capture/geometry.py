"""Where a model's tokens stand: its patch embedding, its input channels, its other tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from torch import nn

from attnlib.errors import CaptureError

# More tokens besides the patches than this are not taken for class and register tokens.
MOST_PREFIX = 32

_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
_DISTILLATION_TOKENS = ("dist_token", "distillation_token")


def input_channels(module: nn.Module) -> int | None:
    """How many channels the model's input has; None where nothing says it.

    As the configuration has it, else as the first convolution reads them.
    """
    for config in _attributes(module, "config"):
        count = getattr(config, "num_channels", None)
        if isinstance(count, int):
            return count
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            return child.in_channels
    return None


def patch_grid(module: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """``(rows, cols)`` of the patch grid and ``(height, width)`` of a patch in pixels.

    Read from timm's ``patch_embed`` (what is before it in a hybrid included) where there is one,
    of the model itself or of one inside it, else from the first convolution, whose stride is the
    patch size in every plain ViT.

    Raises:
        CaptureError: neither is there.
    """
    embed: Any = next(_attributes(module, "patch_embed", "pixel_embed"), None)
    if isinstance(embed, nn.ModuleList):
        embed = embed[0]
    ratio = getattr(embed, "feat_ratio", None)
    patch: Any = ratio(as_scalar=False) if callable(ratio) else getattr(embed, "patch_size", None)
    counts: Any = getattr(embed, "dynamic_feat_size", None)
    projection = getattr(embed, "proj", None)
    if (
        isinstance(projection, nn.Conv2d)
        and patch in (projection.kernel_size, None)
        and projection.stride != projection.kernel_size
    ):
        # Patches that overlap (PVT) stand as far apart as the convolution steps.
        patch, counts = projection.stride, partial(_positions, projection)
    if patch is None and getattr(embed, "grid_size", None) is not None:
        # TNT: the first convolution makes the pixels inside a patch, not the patches.
        patch = (size[0] // embed.grid_size[0], size[1] // embed.grid_size[1])
    if patch is None:
        for child in module.modules():
            if isinstance(child, nn.Conv2d):
                patch, counts = child.stride, partial(_positions, child)
                break
    try:
        rows, cols = (patch, patch) if isinstance(patch, int) else (int(patch[0]), int(patch[1]))
        grid = counts(size) if callable(counts) else (size[0] // rows, size[1] // cols)
        return (int(grid[0]), int(grid[1])), (rows, cols)
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise CaptureError(
            "The model has no patch embedding, so its tokens have no place."
        ) from error


def cuts_patches(module: nn.Module) -> bool:
    """Whether the first convolution reads patches that do not overlap."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            return child.kernel_size == child.stride and min(child.kernel_size) > 2
    return False


def prefix_tokens(module: nn.Module) -> tuple[str, ...]:
    """Names of the tokens before the patches, as the model or one inside it has them.

    Names only name: how many there are, a pass tells.
    """
    registers = 0
    for config in _attributes(module, "config"):
        registers = registers or getattr(config, "num_register_tokens", 0) or 0
    names = []
    if _has(module, *_CLASS_TOKENS):
        names.append("cls")
    if _has(module, *_DISTILLATION_TOKENS):
        names.append("dist")
    said = [n for n in _attributes(module, "num_prefix_tokens") if isinstance(n, int)]
    count = said[0] if said else len(names) + registers
    names = names[:count]
    return tuple(names + [f"reg{i + 1}" for i in range(count - len(names))])


def settle(
    shapes: Sequence[tuple[int, int, int, int]],
    size: tuple[int, int],
    found: tuple[tuple[int, int], tuple[int, int]] | None,
    names: tuple[str, ...],
    plain: bool,
) -> tuple[tuple[int, int] | None, tuple[int, int] | None, tuple[str, ...]]:
    """Grid, patch and names of the tokens before the patches, by what the layers really hold.

    Args:
        shapes: ``(B, H, Tq, Tk)`` of each attention call for one image.
        size: ``(height, width)`` of that image in pixels.
        found: grid and patch as the model's attributes have them, if they do.
        names: of the tokens before the patches, as the model's attributes have them.
        plain: whether the first convolution cuts patches, so that nothing but attention moves
            things between them; the image may still have been resized before it.

    Returns:
        What was given, unless every layer holds one number of tokens that says otherwise.
    """
    tokens = {k for b, _, q, k in shapes if b == 1 and q == k}
    whole = next(iter(tokens)) if len(tokens) == 1 else None
    if whole is not None and found is not None:
        prefix = whole - found[0][0] * found[0][1]
        # As many as were named, or fewer (a class token that joins after the layers).
        if 0 <= prefix <= max(len(names), MOST_PREFIX):
            return (*found, names if prefix <= len(names) else _named(names, prefix))
    if found is None or (plain and whole is not None):
        for call in shapes:
            if call[0] != 1 or call[2] != call[3]:
                continue
            for prefix in dict.fromkeys((len(names), *range(MOST_PREFIX))):
                grid = _grid_of(call[3] - prefix, size)
                if grid is not None:
                    patch = (size[0] // grid[0], size[1] // grid[1])
                    return grid, patch, _named(names, prefix)
            break
    return (None, None, names) if found is None else (*found, names)


def _positions(conv: nn.Conv2d, size: tuple[int, int]) -> tuple[int, ...]:
    """At how many places a convolution stands, down and across."""
    padding = (0, 0) if isinstance(conv.padding, str) else conv.padding
    # timm's own class pads like TensorFlow; PyTorch's padding of that name allows no stride.
    same = conv.padding == "same" or type(conv).__name__ == "Conv2dSame"
    return tuple(
        -(-side // stride) if same else (side + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
        for side, pad, dilation, kernel, stride in zip(
            size, padding, conv.dilation, conv.kernel_size, conv.stride, strict=True
        )
    )


def _named(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Names for ``count`` tokens: those known, then ``"token 2"``, … by their place."""
    return (*names[:count], *(f"token {i + 1}" for i in range(len(names), count)))


def _grid_of(patches: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """The grid of that many patches that has the image's shape, ``(rows, cols)``."""
    if patches < 4:
        return None
    rows = round(math.sqrt(patches * size[0] / size[1]))
    cols = patches // max(rows, 1)
    if rows * cols == patches and rows * size[1] == cols * size[0] and rows <= size[0]:
        return rows, cols
    return None


def _attributes(module: nn.Module, *names: str) -> Iterator[Any]:
    """What the model and the modules inside it have under some names, outermost first."""
    for child in module.modules():
        for name in names:
            value = getattr(child, name, None)
            if value is not None:
                yield value


def _has(module: nn.Module, *names: str) -> bool:
    return any(name.rpartition(".")[2] in names for name, _ in module.named_parameters())
