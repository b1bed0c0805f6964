"""Which tokens of the last layer the logits really depend on, by their gradient.

What a model's attributes say of its pooling is true of the model that its author wrote, not of
the one that stands before us: a wrapper may pool once more, or something else.  The gradient of
the logits tells the tokens that are read: with respect to what the last attention layer returns,
which has a row per query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attnlib.capture.ending import ends_normalised
from attnlib.capture.probe import READ, Change, Probe, measured, score_of
from attnlib.errors import CaptureError

# Rows of an average have one gradient, but for rounding in half precision.
ALIKE = 0.02


@dataclass(frozen=True)
class Dependence:
    """What the logits depend on.

    Attributes:
        read: per query of the last layer ``(T,)``, whether the logits depend on its row; empty
            where the model has no layer of attention between all tokens.
        groups: per query ``(T,)``, 0 where it is not read, else a number that queries share
            whose rows have the same gradient at the place where they are pooled.
        pool: how much of it all goes through the attention that pools at the end: nothing, all
            or a part.
        normalised: as :func:`attnlib.capture.ending.ends_normalised` says of the logits; None
            where they were not looked at.
    """

    read: tuple[bool, ...]
    groups: tuple[int, ...]
    pool: Literal["none", "all", "part"]
    normalised: bool | None = None


def dependence(
    module: nn.Module, pixels: Tensor, layer: int | None, pools: Sequence[int]
) -> Dependence:
    """What the logits of one image ``(1, C, h, w)`` depend on; it must not be blank.

    One pass, of which only what follows the last layer is in a graph, and one backward pass.

    Args:
        layer: position, among the attention calls, of the last one between all tokens; None
            without one.
        pools: positions of the calls after it that pool.

    Raises:
        CaptureError: the gradient tells nothing, for the reason that the message says.
    """
    found = measured(module, lambda change: _found(module, pixels, layer, pools, change))
    if found is not None:
        return found
    if layer is None:
        return Dependence((), (), "none")
    raise CaptureError("the logits do not change with any token of the last layer")


def _found(
    module: nn.Module,
    pixels: Tensor,
    layer: int | None,
    pools: Sequence[int],
    change: Change,
) -> Dependence | None:
    """As :func:`dependence`; None where the gradient is zero everywhere."""
    # Without a layer from the first pool's own result.
    probe = Probe(module, min(pools, default=-1) if layer is None else layer, pools)
    logits, score = score_of(module, pixels, probe, change)
    normalised = ends_normalised(logits)
    if probe.leaf is None or not score.requires_grad:
        if layer is None:
            return None
        raise CaptureError("the model cuts its tokens off from the gradient")
    gradient, *rest = torch.autograd.grad(
        score, [probe.leaf, *probe.pools, *probe.tokens], retain_graph=True, allow_unused=True
    )
    if gradient is None or not bool(gradient.any()):
        return None
    if not bool(torch.isfinite(gradient).all()):
        raise CaptureError("its gradient is not finite")
    if layer is None:
        return Dependence((), (), "all", normalised)
    read = probe.rows(gradient)
    pooled = [
        (node, upstream)
        for node, upstream in zip(probe.pools, rest, strict=False)
        if upstream is not None and bool(upstream.any())
    ]
    if pooled:
        share = _share(probe.leaf, gradient, pooled)
        return Dependence(read, tuple(map(int, read)), share, normalised)
    return Dependence(read, _groups(read, rest[len(probe.pools) :]), "none", normalised)


def _share(
    leaf: Tensor, gradient: Tensor, pooled: list[tuple[Tensor, Tensor]]
) -> Literal["all", "part"]:
    """Whether the gradient goes through the pooling attention alone."""
    if len(pooled) > 1:
        # One class-attention layer after the other: what goes around one goes through another.
        return "all"
    node, upstream = pooled[0]
    (through,) = torch.autograd.grad(node, leaf, upstream, allow_unused=True)
    if through is None:
        return "part"
    rest = (gradient - through).norm() / gradient.norm()
    return "all" if float(rest) <= ALIKE else "part"


def _groups(read: tuple[bool, ...], gradients: Sequence[Tensor | None]) -> tuple[int, ...]:
    """Numbers for the rows by their gradient in the last tensor that has them all."""
    wanted = torch.tensor(read)
    numbers = None
    for gradient in reversed(gradients):
        rows = None if gradient is None else _rows(gradient, wanted)
        if rows is not None:
            numbers = _numbers(rows)
            break
    if numbers is None:
        # Nothing shows the rows where they are pooled: each for itself.
        numbers = list(range(1, sum(read) + 1))
    following = iter(numbers)
    return tuple(next(following) if is_read else 0 for is_read in read)


def _rows(gradient: Tensor, wanted: Tensor) -> Tensor | None:
    """The rows that are read ``(n, D)`` of a gradient ``(1, T, D)``, ``(1, n, D)``; None if none.

    Tokens may come before the batch, as in ``nn.MultiheadAttention``.
    """
    rows = (gradient.transpose(0, 1) if gradient.shape[1] == 1 else gradient)[0].float().cpu()
    norms = rows.norm(dim=1)
    if not bool(norms.any()):
        return None
    if len(rows) == len(wanted):
        return rows[wanted] if torch.equal(norms > READ * norms.max(), wanted) else None
    return rows if len(rows) == int(wanted.sum()) else None


def _numbers(rows: Tensor) -> list[int]:
    """One number for rows ``(n, D)`` that are alike, from 1; a few kinds, then each its own."""
    numbers = torch.zeros(len(rows), dtype=torch.int64)
    for kind in range(1, 5):
        left = (numbers == 0).nonzero()[:, 0]
        if not len(left):
            break
        first = rows[left[0]]
        alike = (rows[left] - first).norm(dim=1) <= ALIKE * first.norm()
        numbers[left[alike]] = kind
        numbers[left[0]] = kind
    lone = numbers == 0
    numbers[lone] = torch.arange(int(lone.sum())) + 5
    return [int(number) for number in numbers]
