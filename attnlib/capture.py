"""Exact attention out of any forward pass: per call, per thread, without hooks.

Fused attention never forms the weights, so a hook has nothing to see.  :class:`Capture` is a
:class:`torch.overrides.TorchFunctionMode`: while it is active, on this thread only, it sees the
arguments of every attention computation that the model makes and hands them to an observer as
an :class:`AttentionCall`.  The model's own computation is passed through unchanged.

Three spellings are seen, which together cover every token attention in timm, torchvision and
``transformers``:

``scaled_dot_product_attention``
    The query, key, mask and scale that the model really uses; weights are recomputed from them.
``softmax`` followed by ``attention @ value``
    The left operand of the product *is* the attention, whatever the model did after the softmax
    (talking heads, gates, differences), so it is kept as it stands.
``multi_head_attention_forward``
    Arrives whole; query and key are projected again from its arguments.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.errors import CaptureError

_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax}
_MATMUL = {torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm}

# Modules that mix heads linearly after the softmax. What they multiply the values with is signed
# and its rows do not sum to 1; the attention is what the softmax gave.
MIXES_HEADS = {"TalkingHeadAttn"}

# Modules that compute one head after the other: a leading dimension there counts windows only.
_LOOPS_HEADS = {"CascadedGroupAttention"}

# Pooling modules that compute every query's row but hand on the first alone.
_POOLS_BY_FIRST = {"AttentionPool2d", "RotAttentionPool2d"}

# Modules whose leading dimension is images times heads, before that of the windows.
_HEADS_FIRST = {"HaloAttn"}

# Rows of one head's matrix that are formed at a time when the matrix itself is not wanted:
# large enough for an efficient product, small enough to stay in the processor's cache.
_BLOCK_ELEMENTS = 1 << 18


@dataclass
class AttentionCall:
    """One attention computation of a forward pass, as the model made it.

    Either ``query`` and ``key`` are set (weights are recomputed from them) or ``weights`` is.

    Attributes:
        module: qualified name of the module that made the call (``"blocks.3.attn"``), or ``""``.
        kind: class name of that module.
        query: ``(B, H, Tq, d)``.
        key: ``(B, H, Tk, d)``.
        value: ``(B, H, Tk, dv)``.
        output: ``(B, H, Tq, dv)``, the result of the model's own computation.
        bias: additive mask or position bias, broadcastable to ``(B, H, Tq, Tk)``, or None.
        scale: factor on ``query @ key.T`` before the softmax.
        weights: ``(B, H, Tq, Tk)`` where the model formed them itself.
        finish: turns ``A V`` ``(B, H, n, dv)`` into what ``output`` holds, where that is more
            than ``A V`` itself (``nn.MultiheadAttention`` hides its output projection).
        applied: what really multiplied the values, where that is not the attention itself.
        node: the tensor that the operator returned, for a backward pass to start from.
        pull: turns the gradient of ``node`` into that of ``A V``, ``(B, H, Tq, dv)``.
    """

    module: str
    kind: str
    query: Tensor | None
    key: Tensor | None
    value: Tensor | None
    output: Tensor | None
    bias: Tensor | None = None
    scale: float = 1.0
    weights: Tensor | None = None
    finish: Callable[[Tensor], Tensor] | None = None
    applied: Tensor | None = None
    node: Tensor | None = None
    pull: Callable[[Tensor], Tensor] | None = None

    @property
    def spelling(self) -> str:
        """Which of the three spellings was seen."""
        if self.weights is not None:
            return "softmax"
        whole = self.finish is not None
        return "multi_head_attention_forward" if whole else "scaled_dot_product_attention"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(B, H, Tq, Tk)``."""
        if self.weights is not None:
            b, h, tq, tk = self.weights.shape
        else:
            assert self.query is not None and self.key is not None
            b, h, tq, _ = self.query.shape
            tk = self.key.shape[2]
        return b, h, tq, tk

    def rows(self, queries: slice = slice(None)) -> Tensor:
        """Attention of some queries, ``(B, H, n, Tk)``: float32, or float64 for a float64 model.

        Softmax is taken in float32 at least: half-precision logits can overflow.
        """
        if self.weights is not None:
            return _widen(self.weights[:, :, queries])
        assert self.query is not None and self.key is not None
        with torch.autocast(self.key.device.type, enabled=False):
            query, key = _widen(self.query[:, :, queries]), _widen(self.key)
            scores = (query * self.scale) @ key.transpose(-2, -1)
            if self.bias is not None:
                scores += _bias_rows(self.bias, queries)
            return torch.softmax(scores, dim=-1)

    def image(self, index: int) -> AttentionCall:
        """The attention of one image of the batch alone, still with a leading dimension of 1."""
        pick = slice(index, index + 1)
        bias = self.bias
        if bias is not None and bias.ndim == 4 and bias.shape[0] > 1:
            bias = bias[pick]
        query, key, value, weights = (
            None if tensor is None else tensor[pick]
            for tensor in (self.query, self.key, self.value, self.weights)
        )
        return replace(
            self,
            query=query,
            key=key,
            value=value,
            weights=weights,
            bias=bias,
            output=None,
            applied=None,
        )

    def first_query(self) -> AttentionCall:
        """The same call as if only its first query had been asked."""
        query, output, weights = (
            None if tensor is None else tensor[:, :, :1]
            for tensor in (self.query, self.output, self.weights)
        )
        bias = None if self.bias is None else _bias_rows(self.bias, slice(0, 1))
        return replace(self, query=query, output=output, weights=weights, bias=bias)

    def detached(self) -> AttentionCall:
        """The same call outside any autograd graph, without the model's output."""
        query, key, value, weights = (
            None if tensor is None else tensor.detach()
            for tensor in (self.query, self.key, self.value, self.weights)
        )
        bias = None if self.bias is None else self.bias.detach()
        return replace(
            self,
            query=query,
            key=key,
            value=value,
            weights=weights,
            bias=bias,
            output=None,
            applied=None,
            node=None,
        )

    def compact(self) -> AttentionCall:
        """What is needed to recompute the weights, and nothing else, for keeping.

        Query and key are often views of one tensor that holds the values too; a copy of the two
        costs less memory than keeping all three alive.
        """
        query, key, weights = (
            None if tensor is None else _owned(tensor.detach())
            for tensor in (self.query, self.key, self.weights)
        )
        kept = AttentionCall(self.module, self.kind, query, key, None, None)
        kept.weights, kept.bias, kept.scale = weights, self.bias, self.scale
        return kept

    def blocks(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """The matrix of one image piece by piece: ``(heads, queries, weights (h, n, Tk))``.

        Small layers come in one piece; large ones head by head in blocks of rows that share one
        scratch buffer, so a piece MUST be used up before the next is asked for.

        Raises:
            CaptureError: the call holds more than one image.
        """
        b, h, tq, tk = self.shape
        if b != 1:
            raise CaptureError(f"blocks() takes one image at a time, this call holds {b}.")
        if self.weights is not None or h * tq * tk <= 2 * _BLOCK_ELEMENTS:
            yield slice(0, h), slice(0, tq), self.rows()[0]
            return
        assert self.query is not None and self.key is not None
        step = max(1, _BLOCK_ELEMENTS // tk)
        query, key = self.query[0], self.key[0]
        with torch.autocast(key.device.type, enabled=False):
            wide = _wide_dtype(key.dtype)
            scratch = torch.empty(step, tk, dtype=wide, device=key.device)
            for head in range(h):
                scaled = query[head].to(wide) * self.scale
                columns = key[head].to(wide).T
                for start in range(0, tq, step):
                    stop = min(start + step, tq)
                    block = torch.mm(scaled[start:stop], columns, out=scratch[: stop - start])
                    if self.bias is not None:
                        block += _bias_rows(_head_of(self.bias, head), slice(start, stop))
                    torch.softmax(block, dim=-1, out=block)
                    yield slice(head, head + 1), slice(start, stop), block[None]

    def check(self, queries: slice = slice(None), rows: Tensor | None = None) -> Tensor:
        """``max |A V - output|`` over the given queries: 0 but for rounding if A is right.

        Args:
            rows: weights of those queries, if they are at hand already.
        """
        assert self.value is not None and self.output is not None
        with torch.autocast(self.value.device.type, enabled=False):
            if self.applied is not None:
                rows = _widen(self.applied[:, :, queries])
            weights = self.rows(queries) if rows is None else rows
            product = weights @ _widen(self.value)
            if self.finish is not None:
                product = self.finish(product)
            difference = product - _widen(self.output[:, :, queries])
        return difference.abs().amax()


class Capture(TorchFunctionMode):
    """Run forward passes inside ``with Capture(module, observe) as capture``.

    Args:
        module: the model, for the names of the calls; it is not modified.
        observe: called with each :class:`AttentionCall` right after the model made it.  Tensors
            that it does not keep are freed with the forward pass.
        classifier: weight of the model's final linear layer.  When the model applies it, its
            input, the image embedding ``(B, D)``, is kept as ``capture.embedding``.

    The mode belongs to the thread that entered it; other threads that use the same module see
    nothing of it.
    """

    def __init__(
        self,
        module: nn.Module,
        observe: Callable[[AttentionCall], None],
        classifier: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._names = {id(child): name for name, child in module.named_modules()}
        self._observe = observe
        self._classifier = classifier
        self._after_softmax: tuple[Tensor, nn.Module | None] | None = None
        self.embedding: Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self._seen(_from_sdpa(result, *args, **kwargs))
        elif func is F.multi_head_attention_forward:
            self._seen(_from_multi_head(result[0], *args, **kwargs))
        elif func in _SOFTMAX:
            # Over another dimension than the last it does not weigh keys (CoaT's factors).
            last = _softmax_dim(*args, **kwargs) in (-1, result.ndim - 1)
            self._after_softmax = (result, self._caller()) if last else None
        elif func in _MATMUL:
            self._product(result, *args, **kwargs)
        elif func is F.linear and self._is_classifier(args):
            self.embedding = args[0].detach()
        return result

    def _is_classifier(self, args: tuple[Any, ...]) -> bool:
        return self._classifier is not None and len(args) > 1 and args[1] is self._classifier

    def _product(self, result: Tensor, left: Tensor, right: Tensor) -> None:
        """A matrix product: attention applied to values if one operand fits the softmax."""
        if self._after_softmax is None or min(left.ndim, right.ndim) < 3:
            return
        soft, module = self._after_softmax
        node, turned = result, False
        if right.shape[-2:] == soft.shape[:-3:-1] and _same_storage(right, soft):
            # V'A' is (A V)': the transposed spelling of the same product.
            left, right, result, turned = right.mT, left.mT, result.mT, True
        if left.shape[-2:] != soft.shape[-2:] or left.ndim != right.ndim:
            return
        if left.shape[0] != soft.shape[0] or self._caller() is not module:
            return
        self._after_softmax = None
        weights, value, output = (_with_heads(tensor, module) for tensor in (left, right, result))
        call = AttentionCall("", "", None, None, value, output, weights=weights)
        if type(module).__name__ in MIXES_HEADS or hasattr(module, "talking_head2"):
            call.weights, call.applied = soft, weights
        call.node = node
        call.pull = lambda gradient: _with_heads(gradient.mT if turned else gradient, module)
        self._seen(call, module)

    def _seen(self, call: AttentionCall, module: nn.Module | None = None) -> None:
        module = module or self._caller()
        if module is not None:
            call.module, call.kind = self._names[id(module)], type(module).__name__
        if call.kind in _POOLS_BY_FIRST:
            call = call.first_query()
        self._observe(call)

    def _caller(self) -> nn.Module | None:
        """The innermost module of this model on the call stack that is more than a softmax."""
        frame = sys._getframe(1)
        while frame is not None:
            candidate = frame.f_locals.get("self")
            if (
                isinstance(candidate, nn.Module)
                and not isinstance(candidate, nn.Softmax | nn.Dropout)
                and id(candidate) in self._names
            ):
                return candidate
            frame = frame.f_back  # type: ignore[assignment]
        return None


def _from_sdpa(
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
    bias = _additive(attn_mask, _wide_dtype(query.dtype))
    if is_causal:
        allowed = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=key.device)
        bias = _additive(allowed.tril(), _wide_dtype(query.dtype))
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
    return call


def _from_multi_head(
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
    bias = _additive(attn_mask, _wide_dtype(q.dtype))
    if bias is not None and bias.ndim == 3:
        bias = bias.reshape(q.shape[0], num_heads, *bias.shape[-2:])
    if key_padding_mask is not None:
        hidden = _additive(~key_padding_mask.bool(), _wide_dtype(q.dtype))
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
    return call


def _owned(tensor: Tensor) -> Tensor:
    """The tensor itself if it fills its storage, else a copy that does."""
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone(memory_format=torch.contiguous_format)


def _wide_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _widen(tensor: Tensor) -> Tensor:
    return tensor.to(_wide_dtype(tensor.dtype))


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


def _bias_rows(bias: Tensor, queries: slice) -> Tensor:
    return bias if bias.shape[-2] == 1 else bias[..., queries, :]


def _head_of(bias: Tensor, head: int) -> Tensor:
    """The ``(Tq, Tk)`` part of one head of one image's bias."""
    while bias.ndim > 2:
        bias = bias[head if bias.ndim == 3 and bias.shape[0] > 1 else 0]
    return bias


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
    heads, kind = getattr(module, "num_heads", None), type(module).__name__
    if not isinstance(heads, int) or kind in _LOOPS_HEADS or tensor.shape[0] % heads:
        return _four_dimensional(tensor)
    if tensor.ndim == 3 or (tensor.ndim == 4 and kind in _HEADS_FIRST):
        tensor = tensor.unflatten(0, (-1, heads))
    return _four_dimensional(tensor)


def _softmax_dim(tensor: Tensor, dim: int | None = None, *rest: Any, **options: Any) -> int | None:
    return dim


def _same_storage(a: Tensor, b: Tensor) -> bool:
    # By identity of the storage: also true of meta tensors, whose addresses are all 0.
    return bool(a.untyped_storage()._cdata == b.untyped_storage()._cdata)
