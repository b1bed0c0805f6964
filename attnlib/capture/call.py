"""One attention computation of a forward pass, as a capture saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnlib.errors import CaptureError

# Rows of one head's matrix that are formed at a time when the matrix itself is not wanted:
# large enough for an efficient product, small enough to stay in the processor's cache.
_BLOCK_ELEMENTS = 1 << 18

# Rows that are formed head by head, in less time than a copy of the keys takes.
_FEW = 2


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
        push: turns an ``A V`` ``(B, H, Tq, dv)`` into what the operator would have returned for
            it, for interventions; None where the shape does not allow it (windows).
        stream: ``(B, T, D)``, the tokens before the last normalisation that the model made ahead
            of this call, which in a pre-norm model are the residual stream; None without one.
        normed: ``(B, T, D)``, the same tokens after it: what the layer reads.
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
    push: Callable[[Tensor], Tensor] | None = None
    stream: Tensor | None = None
    normed: Tensor | None = None

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
            scores = _times(query * self.scale, key.mT)
            if self.bias is not None:
                scores += _bias_rows(self.bias, queries)
            return torch.softmax(scores, dim=-1)

    def image(self, index: int) -> AttentionCall:
        """The attention of one image of the batch alone, still with a leading dimension of 1."""
        pick = slice(index, index + 1)

        def of_image(tensor: Tensor) -> Tensor:
            return tensor[pick] if tensor.ndim == 4 and tensor.shape[0] > 1 else tensor

        return self._inputs(of_image)

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
        return self._inputs(Tensor.detach)

    def _inputs(self, change: Callable[[Tensor], Tensor]) -> AttentionCall:
        """The call with what it computed from changed, and without what came out of it."""
        query, key, value, weights, bias = (
            None if tensor is None else change(tensor)
            for tensor in (self.query, self.key, self.value, self.weights, self.bias)
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
            node=None,
            stream=None,
            normed=None,
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
            wide = wide_dtype(key.dtype)
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

    def product(self, queries: slice = slice(None), rows: Tensor | None = None) -> Tensor:
        """``A V`` of some queries, ``(B, H, n, dv)``, in the type that :meth:`rows` has.

        What :attr:`push` hands on to the model, in the model's own type.

        Args:
            rows: weights of those queries, if they are at hand already.
        """
        assert self.value is not None
        with torch.autocast(self.value.device.type, enabled=False):
            weights = self.rows(queries) if rows is None else rows
            return _times(weights, self.value.to(weights.dtype))

    def check(self, queries: slice = slice(None), rows: Tensor | None = None) -> Tensor:
        """``max |A V - output|`` of each image over the given queries, ``(B,)``.

        0 but for rounding if A is right.

        Args:
            rows: weights of those queries, if they are at hand already.
        """
        assert self.value is not None and self.output is not None
        with torch.autocast(self.value.device.type, enabled=False):
            if self.applied is not None:
                rows = _widen(self.applied[:, :, queries])
            product = self.product(queries, rows)
            if self.finish is not None:
                product = self.finish(product)
            difference = product - _widen(self.output[:, :, queries])
        return difference.abs().flatten(1).amax(dim=1)


def _owned(tensor: Tensor) -> Tensor:
    """The tensor itself if it fills its storage, else a copy that does."""
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone(memory_format=torch.contiguous_format)


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for float64, else float32: softmax in half precision can overflow."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _times(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` ``(B, H, n, m)`` of few rows without a copy of all that ``right`` holds.

    Heads are mostly views into one tensor of queries, keys and values, which a product over all
    of them at once copies first.
    """
    few = left.shape[2] <= _FEW and right.device.type == "cpu"
    if not few or left.shape[:2] != right.shape[:2]:
        return left @ right
    heads = zip(left.unbind(1), right.unbind(1), strict=True)
    return torch.stack([torch.bmm(one, other) for one, other in heads], dim=1)


def _widen(tensor: Tensor) -> Tensor:
    return tensor.to(wide_dtype(tensor.dtype))


def _bias_rows(bias: Tensor, queries: slice) -> Tensor:
    return bias if bias.shape[-2] == 1 else bias[..., queries, :]


def _head_of(bias: Tensor, head: int) -> Tensor:
    """The ``(Tq, Tk)`` part of one head of one image's bias."""
    while bias.ndim > 2:
        bias = bias[head if bias.ndim == 3 and bias.shape[0] > 1 else 0]
    return bias
