"""The fourth spelling: weights that sum to 1 over what a product runs over, by whatever means.

``torch.einsum`` names its dimensions freely, and a softmax may be written as ``exp`` over a sum.
What makes a product an attention is then its left factor: not negative, with rows that sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

# Half-precision weights sum to 1 this badly.
ROOM = 0.02


@dataclass(frozen=True)
class Contraction:
    """An einsum of two factors read as ``weights @ values``, batch and heads in front.

    Attributes:
        weights: ``(..., Tq, Tk)``.
        values: ``(..., Tk, dv)``.
        turn: from the einsum's own result to ``(..., Tq, dv)``.
        back: from ``(..., Tq, dv)`` to the einsum's own result.
    """

    weights: Tensor
    values: Tensor
    turn: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]


def sums_to_one(weights: Tensor) -> bool:
    """Whether rows ``(..., Tq, Tk)`` are shares: not negative, with sum 1, and of many or one."""
    if weights.device.type == "meta" or not weights.is_floating_point() or weights.ndim < 3:
        return False
    queries, keys = weights.shape[-2:]
    # Other products have such rows too: an interpolation, features through a softmax.
    if keys < 2 or queries not in (1, 2, keys) or isinstance(weights, nn.Parameter):
        return False
    with torch.no_grad():
        first = weights[(0,) * (weights.ndim - 1)].float()
        if abs(float(first.sum()) - 1) > ROOM or float(first.min()) < 0:
            return False
        sums = weights.sum(-1, dtype=torch.float32)
        return float((sums - 1).abs().max()) <= ROOM and float(weights.min()) >= 0


def einsum_arguments(args: Sequence[Any]) -> tuple[str, list[Tensor]]:
    """Equation and factors of a call of ``torch.einsum``; "" for a spelling without equation."""
    if not args or not isinstance(args[0], str):
        return "", [a for a in args if isinstance(a, Tensor)]
    factors = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
    return args[0], [f for f in factors if isinstance(f, Tensor)]


def contractions(equation: str, left: Tensor, right: Tensor) -> Iterator[Contraction]:
    """The ways to read ``einsum(equation, left, right)`` as a product of weights and values."""
    parsed = _labels(equation, left.ndim, right.ndim)
    if parsed is None:
        return
    first, second, out = parsed
    for weights, names, values, others in (
        (left, first, right, second),
        (right, second, left, first),
    ):
        found = _read(weights, names, values, others, out)
        if found is not None:
            yield found


def _read(weights: Tensor, names: str, values: Tensor, others: str, out: str) -> Contraction | None:
    if any(len(set(labels)) < len(labels) for labels in (names, others, out)):
        return None
    keys = [n for n in names if n in others and n not in out]
    queries = [n for n in names if n in out and n not in others]
    channels = [n for n in others if n in out and n not in names]
    if len(keys) != 1 or not queries or len(channels) != 1 or set(out) - {*names, *others}:
        return None
    # Values that heads share lack the heads: the query is what stands next to the key.
    query = max(queries, key=lambda n: -abs(names.index(n) - names.index(keys[0])))
    batch = [n for n in names if n in out and n != query]
    if set(names) != {*batch, query, keys[0]} or set(others) - {*batch, keys[0], channels[0]}:
        return None
    sizes = dict(zip(names, weights.shape, strict=True))
    held = [n for n in batch if n in others]
    shaped = values.permute([others.index(n) for n in (*held, keys[0], channels[0])])
    for place, n in enumerate(batch):
        if n not in others:
            shaped = shaped.unsqueeze(place)
    shaped = shaped.expand(*(sizes[n] for n in batch), *shaped.shape[-2:])
    order = [out.index(n) for n in (*batch, query, channels[0])]
    back = [order.index(place) for place in range(len(order))]
    return Contraction(
        weights.permute([names.index(n) for n in (*batch, query, keys[0])]),
        shaped,
        lambda tensor: tensor.permute(order),
        lambda tensor: tensor.permute(back),
    )


def _labels(equation: str, left: int, right: int) -> tuple[str, str, str] | None:
    """One letter per dimension of both factors and of the result, ``...`` spelled out."""
    sides = equation.replace(" ", "").split("->")
    terms = sides[0].split(",")
    if len(terms) != 2:
        return None
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in equation]
    full = []
    for term, count in zip(terms, (left, right), strict=True):
        missing = count - len(term.replace("...", ""))
        # Where the two have different numbers of them, the last ones belong together.
        full.append(term.replace("...", "".join(reversed(spare[: max(missing, 0)]))))
    longest = max(left - len(terms[0].replace("...", "")), right - len(terms[1].replace("...", "")))
    dots = "".join(reversed(spare[: max(longest, 0)]))
    if len(sides) == 1:
        both = full[0] + full[1]
        lone = sorted(c for c in set(both) if both.count(c) == 1 and c not in dots)
        out = (dots if "..." in sides[0] else "") + "".join(lone)
    else:
        out = sides[1].replace("...", dots)
    if len(full[0]) != left or len(full[1]) != right:
        return None
    return full[0], full[1], out
