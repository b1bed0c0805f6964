"""LRP's rules of operations on one tensor: a value as it is, with another derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# A result, and how the gradient of the result becomes that of what came in.
Computed = tuple[Tensor, Callable[[Tensor], Tensor]]


class _Ruled(torch.autograd.Function):
    """An operation on one tensor with a derivative of our own."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, compute: Callable[[Tensor], Computed]) -> Tensor:
        result, ctx.back = compute(tensor)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        back: Callable[[Tensor], Tensor] = ctx.back
        return back(gradients[0]), None


def _ruled(tensor: Tensor, compute: Callable[[Tensor], Computed]) -> Tensor:
    result: Tensor = _Ruled.apply(tensor, compute)
    return result


def elementwise(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """f(x) with the derivative f(x) / x."""
    in_place = func.__name__.endswith("_") and not func.__name__.endswith("__")
    kwargs = {name: False if name == "inplace" else value for name, value in kwargs.items()}

    def compute(x: Tensor) -> Computed:
        result = func(x.clone() if in_place else x, *args[1:], **kwargs)
        # Where x is 0 there is nothing to hand on.
        return result, (result / x).masked_fill_(x == 0, 0).mul

    x = args[0] if args else kwargs.pop("input")
    result = _ruled(x, compute)
    return x.copy_(result) if in_place else result


def _layer_norm(
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    x = x if weight is None else x.to(weight.dtype)

    def compute(x: Tensor) -> Computed:
        result, _, inverse = torch.native_layer_norm(x, normalized_shape, weight, bias, eps)
        factor = inverse.to(x.dtype) if weight is None else inverse.to(x.dtype) * weight
        return result, lambda g: _centred(g * factor, tuple(range(-len(normalized_shape), 0)))

    return _ruled(x, compute)


def _rms_norm(
    x: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    dims = tuple(range(-len(normalized_shape), 0))
    wide = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    normed = x * torch.rsqrt(wide.square().mean(dims, keepdim=True) + eps).to(x.dtype)
    return normed if weight is None else normed * weight


def _group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Tensor:
    def compute(x: Tensor) -> Computed:
        groups = x.unflatten(1, (num_groups, -1)).flatten(2)
        inverse = torch.rsqrt(groups.var(2, unbiased=False, keepdim=True) + eps)

        def back(g: Tensor) -> Tensor:
            if weight is not None:
                g = g * weight.reshape(-1, *[1] * (g.ndim - 2))
            return _centred(g.reshape(groups.shape) * inverse, (2,)).reshape(x.shape)

        return F.group_norm(x, num_groups, weight, bias, eps), back

    return _ruled(x, compute)


def _normalize(
    x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    length = torch.linalg.vector_norm(x.detach(), p, dim, keepdim=True)
    normed: Tensor = x / length.clamp_min(eps)
    return normed


NORMS: dict[str, Callable[..., Tensor]] = {
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "normalize": _normalize,
}


def _centred(gradient: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The derivative of x − mean(x)."""
    return gradient - gradient.mean(dims, keepdim=True)
