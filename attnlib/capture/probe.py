"""A pass whose graph begins at one attention call, to ask what the logits make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.contraction import sums_to_one
from attnlib.capture.mode import Capture
from attnlib.errors import AttnlibError, CaptureError

T = TypeVar("T")
Change = AbstractContextManager[Any]

# A row counts as read if its gradient is more than this share of the largest.
READ = 1e-6


def measured(module: nn.Module, measure: Callable[[Change], T | None]) -> T | None:
    """What a measure finds; tried again with random numbers for zeros where it finds nothing.

    Raises:
        CaptureError: the gradient tells nothing, for the reason that the message says.
    """
    try:
        with passes.admitted():
            for change in (nullcontext, partial(Stirred, module)):
                found = measure(change())
                if found is not None:
                    return found
    except AttnlibError as error:
        raise CaptureError(str(error)) from error
    except Exception as error:
        # The model's own operations may refuse a backward pass in any way.
        raise CaptureError(" ".join(str(error).split())[:200]) from error
    return None


def score_of(
    module: nn.Module, pixels: Tensor, probe: Probe, change: Change
) -> tuple[Tensor, Tensor]:
    """The logits ``(1, L)`` of a pass and a number that all of them are in, with their graph."""
    with torch.no_grad(), probe, change:
        logits = passes.logits_of(module(pixels), 1)
    with torch.enable_grad():
        # No single logit, which may be one that its weights leave at zero.
        drawn = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
        return logits, (logits * drawn.to(logits)).sum()


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


class Probe(Capture):
    """A pass without a graph up to one attention call, and with one from what that returns.

    Args:
        start: position of that call among all.
        pools: positions of calls after it whose results are kept.
        dimensions: of tensors that can hold tokens.

    Attributes:
        leaf: what the call returned; None before.
        pools: what the calls of those positions returned.
        tokens: what may hold tokens, in order, up to where tokens are given weights.
    """

    def __init__(
        self,
        module: nn.Module,
        start: int,
        pools: Sequence[int] = (),
        dimensions: tuple[int, ...] = (3,),
    ) -> None:
        super().__init__(module, lambda call: None)
        self._start, self._pools, self._position = start, set(pools), -1
        self._dimensions = dimensions
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
        if isinstance(result, Tensor) and result.requires_grad and result.ndim in self._dimensions:
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


class Stirred(TorchFunctionMode):
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
