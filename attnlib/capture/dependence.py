"""Which tokens of the last layer the logits really depend on, by their gradient.

What a model's attributes say of its pooling is true of the model that its author wrote, not of
the one that stands before us: a wrapper may pool once more, or something else.  The gradient of
the logits tells the tokens that are read: with respect to what the last attention layer returns,
which has a row per query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.contraction import sums_to_one
from attnlib.capture.mode import Capture
from attnlib.errors import AttnlibError, CaptureError

# A row counts as read if its gradient is more than this share of the largest.
READ = 1e-6
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
    """

    read: tuple[bool, ...]
    groups: tuple[int, ...]
    pool: Literal["none", "all", "part"]


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
    try:
        with passes.admitted():
            for change in (nullcontext, partial(_Stirred, module)):
                found = _measured(module, pixels, layer, pools, change())
                if found is not None:
                    return found
    except AttnlibError as error:
        raise CaptureError(str(error)) from error
    except Exception as error:
        # The model's own operations may refuse a backward pass in any way.
        raise CaptureError(" ".join(str(error).split())[:200]) from error
    if layer is None:
        return Dependence((), (), "none")
    raise CaptureError("the logits do not change with any token of the last layer")


def _measured(
    module: nn.Module,
    pixels: Tensor,
    layer: int | None,
    pools: Sequence[int],
    change: Any,
) -> Dependence | None:
    """As :func:`dependence`; None where the gradient is zero everywhere."""
    probe = _Probe(module, layer, pools)
    with torch.no_grad(), probe, change:
        logits = passes.logits_of(module(pixels), 1)
    with torch.enable_grad():
        # No single logit, which may be one that its weights leave at zero.
        drawn = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
        score = (logits * drawn.to(logits)).sum()
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
        return Dependence((), (), "all")
    read = probe.rows(gradient)
    pooled = [
        (node, upstream)
        for node, upstream in zip(probe.pools, rest, strict=False)
        if upstream is not None and bool(upstream.any())
    ]
    if pooled:
        return Dependence(read, tuple(map(int, read)), _share(probe.leaf, gradient, pooled))
    return Dependence(read, _groups(read, rest[len(probe.pools) :]), "none")


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


_SCALING = {
    torch.mul,
    torch.multiply,
    torch.div,
    Tensor.mul,
    Tensor.__mul__,
    Tensor.__rmul__,
    Tensor.__truediv__,
    Tensor.mul_,
    Tensor.__imul__,
}


class _Probe(Capture):
    """A pass without a graph up to the last layer, and with one from what that returns."""

    def __init__(self, module: nn.Module, layer: int | None, pools: Sequence[int]) -> None:
        super().__init__(module, lambda call: None)
        # Without a layer from the first pool's own result.
        self._start = min(pools, default=-1) if layer is None else layer
        self._pools, self._position = set(pools), -1
        self._pull: Callable[[Tensor], Tensor] | None = None
        self._weighed = False
        self.leaf: Tensor | None = None
        self.pools: list[Tensor] = []
        self.tokens: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        if self.leaf is None:
            return result
        if isinstance(result, Tensor) and result.requires_grad and result.ndim == 3:
            self._weighed |= func in _SCALING and self._weighs(args, result)
            if not self._weighed:
                self.tokens.append(result)
        return result

    def _weighs(self, factors: tuple[Any, ...], result: Tensor) -> bool:
        """Whether a product gives tokens weights: by their place, or as shares of a whole.

        A token's own norm is a factor of the same shape, but depends on the token.
        """
        for factor in factors:
            if not isinstance(factor, Tensor) or factor.ndim < 2 or factor.shape[-1] > 1:
                continue
            if factor.shape[-2] == result.shape[-2] > 1:
                # A softmax over tokens pools by what they hold.
                shares = factor.detach().mT
                if not factor.requires_grad or sums_to_one(shares):
                    return True
                assert self.leaf is not None
                with torch.enable_grad():
                    total = factor.sum()
                (found,) = torch.autograd.grad(
                    total, [self.leaf], retain_graph=True, allow_unused=True
                )
                return found is None
        return False

    def _seen(self, call: AttentionCall, result: Tensor, module: nn.Module | None = None) -> Tensor:
        self._position += 1
        super()._seen(call, result, module)
        if self._position == self._start:
            self._pull = call.pull
            # Also within a model's own no_grad: a frozen backbone is read like any other.
            self._graph = True
            with torch.inference_mode(False), torch.enable_grad():
                self.leaf = result.clone().detach().requires_grad_()
                # A copy, which the model may write into.
                return self.leaf.clone()
        if self._position in self._pools and result.requires_grad:
            self.pools.append(result)
        return result

    def rows(self, gradient: Tensor) -> tuple[bool, ...]:
        """Which queries have a gradient, ``(T,)``."""
        with torch.no_grad():
            pulled = gradient if self._pull is None else self._pull(gradient)
        norms = pulled[0].float().norm(dim=(0, 2))
        return tuple((norms > READ * norms.max()).tolist())


class _Stirred(TorchFunctionMode):
    """Parameters that are zero throughout, as a fresh head is, are read as random numbers.

    Nothing is set on the module: operators are handed other tensors in their place.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self._instead = {
            id(parameter): torch.randn(parameter.shape, generator=generator).to(parameter) * 0.1
            for parameter in module.parameters()
            if parameter.is_floating_point() and not bool(parameter.any())
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        args = tuple(self._instead.get(id(argument), argument) for argument in args)
        named = {k: self._instead.get(id(v), v) for k, v in (kwargs or {}).items()}
        return func(*args, **named)
