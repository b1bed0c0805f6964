"""The spellings of attention, each turned into an :class:`AttentionCall`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.capture.call import AttentionCall, wide_dtype
from attnlib.capture.contraction import Contraction
from attnlib.errors import CaptureError

# Modules that compute one head after the other: a leading dimension there counts windows only.
_LOOPS_HEADS = {"CascadedGroupAttention"}

# What modules call their number of heads.
_HEADS = ("num_heads", "heads", "n_heads", "num_attention_heads", "nhead", "n_head")

# Modules whose leading dimension is images times heads, before that of the windows.
_HEADS_FIRST = {"HaloAttn"}


def from_sdpa(
    output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> AttentionCall:
    """The arguments of ``scaled_dot_product_attention``, as the fused kernel reads them."""
    query, key, value = (_as_autocast(tensor) for tensor in (query, key, value))
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    leading = query.shape[:-2]
    bias = _additive(attn_mask, wide_dtype(query.dtype))
    if is_causal:
        allowed = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=key.device)
        bias = _additive(allowed.tril(), wide_dtype(query.dtype))
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (tensor.repeat_interleave(groups, dim=-3) for tensor in (key, value))
    call = AttentionCall(
        "",
        "",
        _four_dimensional(query),
        _four_dimensional(key),
        _four_dimensional(value),
        _four_dimensional(output),
        _bias_of_four(bias, leading),
        scale,
    )
    call.node, call.pull = output, _four_dimensional
    call.push = _reshaped(output)
    return call


def from_multi_head(
    output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    **rest: Any,
) -> AttentionCall:
    """Project query, key and value ``(T, B, D)`` again, as ``nn.MultiheadAttention`` does."""
    if bias_k is not None or add_zero_attn or rest.get("static_k") is not None:
        raise CaptureError(
            "This model uses nn.MultiheadAttention with extra key tokens (bias_k, add_zero_attn "
            "or static_k), which have no place on the patch grid. It cannot be captured."
        )
    if use_separate_proj_weight:
        assert q_proj_weight is not None and k_proj_weight is not None
        assert v_proj_weight is not None
        weights = [q_proj_weight, k_proj_weight, v_proj_weight]
    else:
        assert in_proj_weight is not None
        weights = list(in_proj_weight.chunk(3))
    biases = [None] * 3 if in_proj_bias is None else list(in_proj_bias.chunk(3))

    def heads(x: Tensor) -> Tensor:
        if x.ndim == 2:
            x = x.unsqueeze(1)
        tokens, batch, dim = x.shape
        return x.reshape(tokens, batch, num_heads, dim // num_heads).permute(1, 2, 0, 3)

    q, k, v = (
        heads(F.linear(x, w, b))
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    bias = _additive(attn_mask, wide_dtype(q.dtype))
    if bias is not None and bias.ndim == 3:
        bias = bias.reshape(q.shape[0], num_heads, *bias.shape[-2:])
    if key_padding_mask is not None:
        hidden = _additive(~key_padding_mask.bool(), wide_dtype(q.dtype))
        assert hidden is not None
        hidden = hidden[:, None, None]
        bias = hidden if bias is None else bias + hidden

    def project(product: Tensor) -> Tensor:
        """``A V`` ``(B, H, n, dv)`` through the output projection, as ``(B, 1, n, D)``."""
        joined = product.transpose(1, 2).flatten(2)
        dtype = joined.dtype
        out_bias = None if out_proj_bias is None else out_proj_bias.to(dtype)
        return F.linear(joined, out_proj_weight.to(dtype), out_bias).unsqueeze(1)

    def unproject(gradient: Tensor) -> Tensor:
        """The gradient of the output ``(T, B, D)`` as that of ``A V``."""
        return heads(gradient @ out_proj_weight)

    shown = output.unsqueeze(1) if output.ndim == 2 else output
    shown = shown.transpose(0, 1).unsqueeze(1)
    call = AttentionCall("", "", q, k, v, shown, bias, q.shape[-1] ** -0.5, finish=project)
    call.node, call.pull = output, unproject
    call.push = lambda product: (
        project(product.to(output.dtype)).squeeze(1).transpose(0, 1).reshape(output.shape)
    )
    return call


def from_product(
    result: Tensor, left: Tensor, right: Tensor, turned: bool, module: nn.Module | None
) -> AttentionCall:
    """A product ``attention @ value``; ``turned`` says that the model spelled it V'A'."""
    node = result
    if turned:
        left, right, result = right.mT, left.mT, result.mT
    weights, value, output = (_with_heads(tensor, module) for tensor in (left, right, result))
    call = AttentionCall("", "", None, None, value, output, weights=weights)
    call.node = node
    call.pull = lambda gradient: _with_heads(gradient.mT if turned else gradient, module)
    shaped = _reshaped(result)
    if shaped is not None:
        call.push = lambda product: shaped(product).mT if turned else shaped(product)
    return call


def from_contraction(result: Tensor, found: Contraction, module: nn.Module | None) -> AttentionCall:
    """An einsum of weights and values, read as their product."""
    turned = found.turn(result)
    weights, value, output = (
        _with_heads(tensor, module) for tensor in (found.weights, found.values, turned)
    )
    call = AttentionCall("", "", None, None, value, output, weights=weights)
    call.node = result
    call.pull = lambda gradient: _with_heads(found.turn(gradient), module)
    shaped = _reshaped(turned)
    if shaped is not None:
        call.push = lambda product: found.back(shaped(product))
    return call


def _reshaped(output: Tensor) -> Callable[[Tensor], Tensor] | None:
    """From ``(B, H, Tq, dv)`` to the shape of an output whose heads only were split or missing."""
    if output.ndim > 4:
        return None
    return lambda product: product.reshape(output.shape).to(output.dtype)


def _as_autocast(tensor: Tensor) -> Tensor:
    """Round as autocast does inside the operator, out of sight of a function mode."""
    kind = tensor.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind) or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(torch.get_autocast_dtype(kind))


def _additive(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A boolean mask (True = may attend) or an additive one, as an additive mask."""
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        zero = torch.zeros((), dtype=dtype, device=mask.device)
        return torch.where(mask, zero, zero - math.inf)
    return mask.to(dtype)


def _four_dimensional(tensor: Tensor) -> Tensor:
    """``(B, H, T, d)`` of fewer or more dimensions.

    A missing head dimension becomes one head. In ``(B, H, W, T, d)``, as Hiera and VOLO have it,
    windows join the batch: ``(B * W, H, T, d)``.
    """
    while tensor.ndim < 4:
        tensor = tensor.unsqueeze(-3)
    if tensor.ndim > 4:
        tensor = tensor.transpose(1, -3).flatten(0, -4)
    return tensor


def _bias_of_four(bias: Tensor | None, leading: torch.Size) -> Tensor | None:
    """A bias that fits queries ``(*leading, Tq, d)`` as one that fits them in four dimensions."""
    if bias is None or bias.ndim <= 2 or len(leading) == 2:
        return bias
    return _four_dimensional(bias.expand(*leading, *bias.shape[-2:]))


def _with_heads(tensor: Tensor, module: nn.Module | None) -> Tensor:
    """``(B * H, T, d)`` of a batched product as ``(B, H, T, d)``, by the module's own count."""
    kind = type(module).__name__
    counts = (getattr(module, name, None) for name in _HEADS)
    heads = next((count for count in counts if isinstance(count, int)), None)
    if not heads or kind in _LOOPS_HEADS or tensor.shape[0] % heads:
        return _four_dimensional(tensor)
    if tensor.ndim == 3 or (tensor.ndim == 4 and kind in _HEADS_FIRST):
        tensor = tensor.unflatten(0, (-1, heads))
    return _four_dimensional(tensor)
