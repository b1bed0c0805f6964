"""Exact attention out of any forward pass: per call, per thread, without hooks.

Fused attention never forms the weights, so a hook has nothing to see.  :class:`Capture` is a
:class:`torch.overrides.TorchFunctionMode`: while it is active, on this thread only, it sees the
arguments of every attention computation that the model makes and hands them to an observer as
an :class:`AttentionCall`.  The model's own computation is passed through unchanged.

Four spellings are seen; the first three cover every token attention in timm, torchvision and
most of ``transformers``:

``scaled_dot_product_attention``
    The query, key, mask and scale that the model really uses; weights are recomputed from them.
``softmax`` followed by ``attention @ value``
    The left operand of the product *is* the attention, whatever the model did after the softmax
    (talking heads, gates, differences), so it is kept as it stands.
``multi_head_attention_forward``
    Arrives whole; query and key are projected again from its arguments.
Any product with a factor whose rows are shares
    Not negative, with sum 1 over what the product runs over: hand-written softmax and einsum.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.capture.call import AttentionCall as AttentionCall
from attnlib.capture.contraction import contractions, einsum_arguments, sums_to_one
from attnlib.capture.graph import with_graph
from attnlib.capture.spellings import (
    from_contraction,
    from_multi_head,
    from_product,
    from_sdpa,
)
from attnlib.capture.stream import Stream, storage
from attnlib.errors import CaptureError

# Told of every attention; may return what the model shall go on with in place of its A V,
# (B, H, Tq, dv): an intervention.
Observer = Callable[[AttentionCall], Tensor | None]

_SOFTMAX = {torch.softmax, Tensor.softmax, F.softmax, torch.special.softmax}
_MATMUL = {
    torch.matmul,
    torch.linalg.matmul,
    Tensor.matmul,
    Tensor.__matmul__,
    Tensor.__rmatmul__,
    torch.bmm,
    Tensor.bmm,
}
_NORM = {F.layer_norm, F.rms_norm}
_PROJECTION = {F.linear, F.conv1d, F.conv2d}

# Modules that mix heads linearly after the softmax. What they multiply the values with is signed
# and its rows do not sum to 1; the attention is what the softmax gave.
MIXES_HEADS = {"TalkingHeadAttn"}

# Pooling modules that compute every query's row but hand on the first alone.
_POOLS_BY_FIRST = {"AttentionPool2d", "RotAttentionPool2d"}


class Capture(TorchFunctionMode):
    """Run forward passes inside ``with Capture(module, observe) as capture``.

    Args:
        module: the model, for the names of the calls; it is not modified.
        observe: called with each :class:`AttentionCall` right after the model made it.  Tensors
            that it does not keep are freed with the forward pass.  If it returns a tensor, the
            model goes on with that in place of ``A V``; else with its own, bit for bit.
        classifier: weight of the model's final linear layer.  When the model applies it, its
            input, the image embedding ``(B, D)``, is kept as ``capture.embedding``.
        graph: keep the graph for gradients also where the model says ``no_grad`` or
            ``inference_mode`` (around a frozen backbone), or has cached tensors of such a pass.

    The mode belongs to the thread that entered it; other threads that use the same module see
    nothing of it.
    """

    def __init__(
        self,
        module: nn.Module,
        observe: Observer,
        classifier: Tensor | None = None,
        *,
        graph: bool = False,
    ) -> None:
        super().__init__()
        self._graph = graph
        self._names = {id(child): name for name, child in module.named_modules()}
        self._observe = observe
        self._classifier = classifier
        self._after_softmax: tuple[Tensor, nn.Module | None] | None = None
        self._stream = Stream()
        # Storages that the model had results written into: it may do so again, layer by layer.
        self._reused: set[int] = set()
        self.embedding: Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func.__name__ == "__get__":
            # A shape or a type is asked for more often than anything is computed.
            said = func(*args)
            if not isinstance(said, Tensor):
                return said
        if self._graph:
            with with_graph(func):
                args, kwargs = _outside_inference(args), _outside_inference(kwargs)
                result = func(*args, **kwargs)
        else:
            result = func(*args, **kwargs)
        if isinstance(kwargs.get("out"), Tensor):
            self._reused.add(storage(kwargs["out"]))
        if func is F.scaled_dot_product_attention:
            return self._seen(from_sdpa(result, *args, **kwargs), result)
        if func is F.multi_head_attention_forward:
            output, *weights = result
            self._stream.read(_argument(0, "query", args, kwargs))
            return (self._seen(from_multi_head(output, *args, **kwargs), output), *weights)
        if func in _MATMUL:
            left, right = _operands(func, args, kwargs)
            if right.ndim == 2:
                self._stream.read(left)
            return self._product(result, left, right, kwargs.get("out"))
        if func in _SOFTMAX:
            # Over another dimension than the last it does not weigh keys (CoaT's factors).
            last = _softmax_dim(*args, **kwargs) in (-1, result.ndim - 1)
            self._after_softmax = (result, self._caller()) if last else None
        elif func in _NORM and result.ndim == 3:
            self._stream.normalised(_argument(0, "input", args, kwargs), result)
        elif func in _PROJECTION:
            tokens = _argument(0, "input", args, kwargs)
            self._stream.read(tokens)
            if self._is_classifier(_argument(1, "weight", args, kwargs)):
                self.embedding = tokens.detach()
        elif func is torch.einsum:
            equation, factors = einsum_arguments(args)
            for factor in factors:
                # Heads are not split yet: a projection, and not the product of attention.
                if factor.ndim == 3:
                    self._stream.read(factor)
            if len(factors) == 2:
                return self._contracted(result, equation, *factors)
        return result

    def _is_classifier(self, weight: object) -> bool:
        return self._classifier is not None and weight is self._classifier

    def _product(
        self, result: Tensor, left: Tensor, right: Tensor, out: Tensor | None = None
    ) -> Tensor:
        """A matrix product: attention applied to values if one operand fits the softmax.

        ``out`` is where the model asked for the result, and may look for it.
        """
        if min(left.ndim, right.ndim) < 3 or left.ndim != right.ndim:
            return result
        soft, module = self._after_softmax or (None, None)
        # V'A' is (A V)': the transposed spelling of the same product.
        turned = (
            soft is not None
            and right.shape[-2:] == soft.shape[:-3:-1]
            and storage(right) == storage(soft)
        )
        weights = right.mT if turned else left
        if soft is None or not self._follows(weights, soft, module):
            turned = False if sums_to_one(left) else sums_to_one(right.mT)
            if not turned and not sums_to_one(left):
                return result
            soft, module = None, self._caller()
        self._after_softmax = None
        call = self._unmixed(from_product(result, left, right, turned, module), soft, module)
        changed = self._seen(call, result, module)
        return changed if out is None or changed is result else out.copy_(changed)

    def _follows(self, weights: Tensor, soft: Tensor, module: nn.Module | None) -> bool:
        """Whether a factor is what the last softmax gave, as its module went on with it."""
        return (
            weights.shape[-2:] == soft.shape[-2:]
            and weights.shape[0] == soft.shape[0]
            and self._caller() is module
        )

    def _contracted(self, result: Tensor, equation: str, left: Tensor, right: Tensor) -> Tensor:
        """As :meth:`_product`, of an einsum."""
        soft, module = self._after_softmax or (None, None)
        for found in contractions(equation, left, right):
            follows = soft is not None and self._follows(found.weights, soft, module)
            if not follows and not sums_to_one(found.weights):
                continue
            caller = module if follows else self._caller()
            self._after_softmax = None
            call = from_contraction(result, found, caller)
            return self._seen(
                self._unmixed(call, soft if follows else None, caller), result, caller
            )
        return result

    def _unmixed(
        self, call: AttentionCall, soft: Tensor | None, module: nn.Module | None
    ) -> AttentionCall:
        """The call with the attention that the softmax gave, if heads were mixed after it."""
        assert call.weights is not None
        if soft is None or storage(call.weights) == storage(soft):
            return call
        known = type(module).__name__ in MIXES_HEADS or hasattr(module, "talking_head2")
        if known or _signed(call.weights):
            call.weights, call.applied, call.push = soft, call.weights, None
        return call

    def _seen(self, call: AttentionCall, result: Tensor, module: nn.Module | None = None) -> Tensor:
        """Tell the observer; what the operator shall return is ``result`` unless it says more."""
        module = module or self._caller()
        if module is not None:
            call.module, call.kind = self._names[id(module)], type(module).__name__
        call.stream, call.normed = self._stream.of_call()
        if call.kind in _POOLS_BY_FIRST:
            call = call.first_query()
        # What is kept of a call must not change when the model writes there again.
        call.query, call.key, call.weights = (
            tensor.clone() if tensor is not None and storage(tensor) in self._reused else tensor
            for tensor in (call.query, call.key, call.weights)
        )
        changed = self._observe(call)
        if changed is None:
            return result
        if call.push is None:
            raise CaptureError(f"{call.kind} lets no intervention be made in its attention.")
        return call.push(changed)

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


def _outside_inference(nested: Any) -> Any:
    """The same arguments with copies of the tensors that no graph may hold."""
    if isinstance(nested, Tensor):
        return nested.clone() if nested.is_inference() else nested
    if isinstance(nested, dict):
        return {name: _outside_inference(value) for name, value in nested.items()}
    if type(nested) in (tuple, list):
        return type(nested)(_outside_inference(value) for value in nested)
    return nested


def _signed(weights: Tensor) -> bool:
    """Whether some are negative, so that they are no shares."""
    return weights.device.type != "meta" and bool((weights < 0).any())


def _softmax_dim(input: Tensor, dim: int | None = None, *rest: Any, **options: Any) -> int | None:
    return dim


def _argument(place: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An argument by its place or its name; None where the model left it out."""
    return args[place] if len(args) > place else kwargs.get(name)


def _operands(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """The left and the right factor of a matrix product, however the model named them."""
    named = [kwargs[name] for name in ("input", "other", "mat2") if name in kwargs]
    left, right = (*args, *named)
    return (right, left) if func is Tensor.__rmatmul__ else (left, right)
