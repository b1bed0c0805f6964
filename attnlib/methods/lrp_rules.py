"""Layer-wise relevance propagation (LRP) by rules, during one forward pass.

LRP hands the logit back from operation to operation, each by a rule.  Written as gradient ×
input (as ``lxt`` does), a rule is another derivative of one operation, and the relevance of what
came in is its gradient under these rules times its value:

==================================  ===========================================================
linear layers, convolutions, sums   their own derivative: the ε-rule with ε → 0
GELU, SiLU, … f(x), element-wise    f(x) / x in place of f'(x): the identity rule
LayerNorm, RMSNorm, GroupNorm       the deviation counts as a constant: the identity rule
x / y, x · rsqrt(y)                 the divisor counts as a constant
sigmoid                             a constant, as σ(x) / x has no bound: the signal takes all
x · y, ``x @ y``                    half to each factor, if both depend on the image: the uniform
                                    rule
softmax of attention                its own derivative (AttnLRP), or none (CP-LRP): the weights
                                    count as constants, all relevance passes by the values
==================================  ===========================================================

Of these the softmax's own derivative does not conserve relevance: what it hands on sums to another
amount than what it got. The others do, but for what the model adds by itself (biases).

:class:`Rules` is a :class:`torch.overrides.TorchFunctionMode`: it is active on one thread during
one pass, and sets nothing on the model.  An operation without a rule is refused.

Sources: Achtibat et al., ICML 2024, section 3 (AttnLRP); Ali et al., ICML 2022 (CP-LRP);
Arras et al., WASSA 2017 (gates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.capture.graph import with_graph
from attnlib.capture.spellings import from_multi_head
from attnlib.errors import CaptureError
from attnlib.methods.lrp_derivatives import NORMS, elementwise


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Functions by name: torch.add, Tensor.add and Tensor.__add__ are one operation.
_OWN_DERIVATIVE = _names(
    """
    linear conv1d conv2d conv3d conv_transpose2d batch_norm unfold fold add sub rsub subtract neg
    negative mean sum get getitem setitem reshape view view_as reshape_as flatten unflatten permute
    transpose swapaxes movedim moveaxis t matrix_transpose squeeze unsqueeze expand expand_as
    broadcast_to repeat repeat_interleave tile contiguous clone to type type_as float double half
    bfloat16 cat concat concatenate stack split split_with_sizes chunk tensor_split unbind narrow
    select index_select gather take_along_dim diagonal roll flip rot90 pad constant_pad_nd
    pixel_shuffle pixel_unshuffle interpolate grid_sample avg_pool1d avg_pool2d adaptive_avg_pool1d
    adaptive_avg_pool2d max_pool1d max_pool2d adaptive_max_pool2d boolean_dispatch relu leaky_relu
    abs max amax min amin maximum minimum where masked_fill copy index_put scatter sort topk
    dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout
    """
)
_ELEMENTWISE = _names(
    """
    gelu silu elu celu selu mish hardswish hardtanh relu6 softsign tanh erf sqrt square clamp
    clamp_min clip
    """
)
_GATES = _names("sigmoid hardsigmoid")
_PRODUCTS = _names("mul multiply matmul bmm einsum baddbmm addcmul")
_QUOTIENTS = _names("div divide truediv true_divide")
_DIVISORS = _names("rsqrt reciprocal var std norm linalg_vector_norm linalg_norm")
_SPELLED = {"iadd": "add", "radd": "add", "isub": "sub", "imul": "mul", "rmul": "mul"} | {
    "rmatmul": "matmul", "itruediv": "div", "idiv": "div", "linalg_matmul": "matmul"
}  # fmt: skip


class Rules(TorchFunctionMode):
    """Within it operations have the derivatives of LRP's rules.

    Args:
        through_weights: whether relevance passes by the attention weights too (AttnLRP), or by
            the values alone (CP-LRP).
    """

    def __init__(self, *, through_weights: bool) -> None:
        super().__init__()
        self._through_weights = through_weights

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func.__name__ == "__get__":
            # A shape or a type is asked for more often than anything is computed.
            said = func(*args)
            if not isinstance(said, Tensor):
                return said
        args, kwargs = _constants(args), _constants(kwargs or {})
        # Also around a backbone that says no_grad.
        with with_graph(func):
            active = list(_active((args, kwargs)))
            return self._by_rule(func, args, kwargs, active) if active else func(*args, **kwargs)

    def _by_rule(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        active: list[Tensor],
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(*args, **kwargs)
        name = func.__name__.strip("_")
        name = _SPELLED.get(name, name)
        if name in _OWN_DERIVATIVE:
            return func(*args, **kwargs)
        if name in NORMS:
            return NORMS[name](*args, **kwargs)
        if name == "softmax":
            result = func(*args, **kwargs)
            return result if self._through_weights else result.detach()
        if name in _PRODUCTS:
            result = func(*args, **kwargs)
            factors = active if name != "baddbmm" else list(_active(args[1:]))
            return _passing(result, 1 / len(factors)) if len(factors) > 1 else result
        if name in _QUOTIENTS:
            return func(args[0], *(_detached(rest) for rest in args[1:]), **_detached(kwargs))
        if name in _DIVISORS or name in _GATES or name == "rdiv":
            return _detached(func(*args, **kwargs))
        if name in _ELEMENTWISE or (name == "pow" and _positive(*args[1:], *kwargs.values())):
            return elementwise(func, args, kwargs)
        result = func(*args, **kwargs)
        if next(_active(result), None) is not None:
            raise CaptureError(
                f"Layer-wise relevance propagation has no rule for the operation {name!r}, which "
                "this model makes. Use gradient-weighted relevance or integrated gradients."
            )
        return result

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        *rest: Any,
        **options: Any,
    ) -> Tensor:
        """``softmax(Q Kᵀ) V`` as the products and the softmax that it consists of."""
        if not self._through_weights:
            query, key, attn_mask = query.detach(), key.detach(), _detached(attn_mask)
        scores = [tensor for tensor in (query, key) if tensor.requires_grad]
        weights = bool(scores) or (attn_mask is not None and attn_mask.requires_grad)
        half = 0.5 if weights and value.requires_grad else 1.0
        each = half / max(1, len(scores))
        query, key = _scaled(query, each), _scaled(key, each)
        if attn_mask is not None:
            attn_mask = _scaled(attn_mask, half)
        return F.scaled_dot_product_attention(
            query, key, _scaled(value, half), attn_mask, *rest, **options
        )

    def _multi_head(self, query: Tensor, *args: Any, **options: Any) -> tuple[Tensor, Any]:
        """``nn.MultiheadAttention`` as projections, attention and another projection."""
        # The first argument stands for the output too, of which only the form is asked.
        call = from_multi_head(query, query, *args, **options)
        assert call.query is not None and call.key is not None and call.value is not None
        assert call.push is not None
        bias = None if call.bias is None else call.bias.to(call.query.dtype)
        product = self._attention(call.query, call.key, call.value, bias)
        return call.push(product), call.detached().rows().mean(dim=1)


def _passing(tensor: Tensor, share: float) -> Tensor:
    """The tensor, which hands a share of its gradient on."""
    tensor.register_hook(lambda gradient: gradient * share)
    return tensor


def _scaled(tensor: Tensor, share: float) -> Tensor:
    """As :func:`_passing` for this one use of a tensor."""
    return _passing(tensor.view_as(tensor), share) if tensor.requires_grad else tensor


def _positive(*exponents: Any) -> bool:
    return all(isinstance(exponent, int | float) and exponent > 0 for exponent in exponents)


def _active(nested: Any) -> Iterator[Tensor]:
    """The tensors that depend on the image."""
    if isinstance(nested, Tensor):
        if nested.requires_grad:
            yield nested
    elif isinstance(nested, dict):
        for value in nested.values():
            yield from _active(value)
    elif isinstance(nested, tuple | list):
        for value in nested:
            yield from _active(value)


def _constants(nested: Any) -> Any:
    """The same arguments with weights as constants, and copies of what no graph may hold."""
    return _each(nested, _constant)


def _constant(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return tensor.detach()
    return tensor.clone() if tensor.is_inference() else tensor


def _detached(nested: Any) -> Any:
    return _each(nested, Tensor.detach)


def _each(nested: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(nested, Tensor):
        return change(nested)
    if isinstance(nested, dict):
        return {name: _each(value, change) for name, value in nested.items()}
    if type(nested) in (tuple, list):
        return type(nested)(_each(value, change) for value in nested)
    return nested
