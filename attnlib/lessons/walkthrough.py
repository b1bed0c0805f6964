"""One attention computation followed step by step, with the numbers of a real model and image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.errors import AttnlibError, CaptureError
from attnlib.model.vit import Vit

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """What follows the heads for one query.

    Attributes:
        weight, bias: W_O ``(D, H·dv)`` and b_O ``(D,)`` (zeros without one).
        output: ``(D,)``, what the model's own projection gave for the query.
        after: ``(D,)``, the query's token after the residual connection; None where the model
            normalises nothing after it, so that it is not seen.
        layer_scale: ``(D,)``, the factor on the output before it is added; None without one.
    """

    weight: Array
    bias: Array
    output: Array
    after: Array | None
    layer_scale: Array | None


@dataclass(frozen=True)
class Walk:
    """Every intermediate result of one layer for one query.

    Attributes:
        layer, query: where.
        before: ``(T, D)``, tokens that enter the layer: the residual stream.
        tokens: ``(T, D)``, the same after normalisation: what q, k and v are made from.
        queries, keys, values: ``(H, T, d)``, ``(H, T, d)`` and ``(H, T, dv)``, with all that the
            model does to them (q/k norms, rotary positions).
        scores: ``(H, T)``, q kᵀ of the query, before scaling.
        scale: factor on the scores, as a rule 1/√d.
        bias: ``(H, T)``, position bias or mask that is added, or None.
        weights: ``(H, T)``, softmax of the scaled (and biased) scores; rows sum to 1.
        heads: ``(H, dv)``, weights times values: the output of every head.
        projection: what follows; None where the model hides it.
        self_check: largest difference between the last step here and the model's own output.
    """

    layer: int
    query: int
    before: Array | None
    tokens: Array | None
    queries: Array
    keys: Array
    values: Array
    scores: Array
    scale: float
    bias: Array | None
    weights: Array
    heads: Array
    projection: Projection | None
    self_check: float

    @property
    def dimension(self) -> int:
        """d, of a query and a key of one head."""
        return int(self.queries.shape[2])

    @property
    def concatenated(self) -> Array:
        """``(H·dv,)``, the heads one after the other."""
        return self.heads.reshape(-1)

    @property
    def projected(self) -> Array | None:
        """``(D,)``, W_O times the concatenated heads plus b_O, computed here."""
        if self.projection is None:
            return None
        wide = self.projection.weight.astype(np.float64) @ self.concatenated
        return (wide + self.projection.bias).astype(np.float32)

    def at(self, temperature: float = 1.0, scaled: bool = True) -> Array:
        """Weights ``(H, T)`` at another temperature, or with no scaling at all.

        Raises:
            AttnlibError: the temperature is not positive.
        """
        if not temperature > 0:
            raise AttnlibError(f"The temperature must be above 0, not {temperature!r}.")
        logits = self.scores.astype(np.float64) * (self.scale / temperature if scaled else 1.0)
        if self.bias is not None:
            logits = logits + self.bias
        grown = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(grown / grown.sum(axis=-1, keepdims=True), dtype=np.float32)


class _Follow(TorchFunctionMode):
    """Sees the output projection and the next normalisation after a layer's attention."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting_for: int | None = None
        self.linear: tuple[Tensor, Tensor | None, Tensor] | None = None
        self.stream: Tensor | None = None
        self._next_norm = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.waiting_for is not None and func is F.linear:
            # The first linear map after the attention, if it takes all heads side by side.
            if self.linear is None and args[1].shape[1] == self.waiting_for:
                bias = args[2] if len(args) > 2 else (kwargs or {}).get("bias")
                self.linear, self._next_norm = (args[1], bias, result), True
            self.waiting_for = None
        elif self._next_norm and func in (F.layer_norm, F.rms_norm) and result.ndim == 3:
            self.stream, self._next_norm = args[0], False
        return result


@dataclass(frozen=True)
class Followed:
    """One layer's attention on one image as a pass left it: any query is walked without another.

    Attributes:
        layer: counted from 0.
        call: the attention of the layer, ``(1, H, T, T)``.
    """

    vit: Vit
    layer: int
    call: AttentionCall
    _follow: _Follow

    def walk(self, query: int) -> Walk:
        """Every intermediate result of the layer for one query, without a forward pass.

        Raises:
            AttnlibError: there is no such token.
        """
        tokens = self.vit.layout.tokens
        if not 0 <= query < tokens:
            raise AttnlibError(f"There is no token {query}: this model has {tokens}.")
        with torch.no_grad():
            return _walk(self.vit, self.call, self._follow, self.layer, query)


def walk(vit: Vit, pixels: Tensor, layer: int, query: int) -> Walk:
    """:func:`follow` one layer, then walk one query: for whoever wants no other query of it.

    Raises:
        AttnlibError: there is no such layer or token.
        CaptureError: as :func:`follow`.
    """
    return follow(vit, pixels, layer).walk(query)


def follow(vit: Vit, pixels: Tensor, layer: int) -> Followed:
    """One pass of ``pixels`` ``(1, 3, h, w)``, of which the attention of one layer is kept.

    Raises:
        AttnlibError: there is no such layer.
        CaptureError: the model has no layers of attention between all tokens, or hands on its
            weights without the query and key they come from.
    """
    vit = vit.fitting(pixels)
    places = vit.support.calls("layer")
    if not places:
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {vit.support.reason}."
        )
    if not 0 <= layer < len(places):
        raise AttnlibError(f"layer must be from 0 to {len(places) - 1}, not {layer}.")
    found: list[AttentionCall] = []
    seen = _Follow()
    count = -1

    def observe(call: AttentionCall) -> None:
        nonlocal count
        count += 1
        if count == places[layer]:
            found.append(call)
            if call.finish is None and call.value is not None:
                seen.waiting_for = call.value.shape[1] * call.value.shape[3]

    with passes.admitted(), torch.no_grad(), seen:
        passes.forward(vit.module, pixels, observe, precision=vit.precision)
    call = found[0]
    if call.query is None or call.key is None:
        raise CaptureError(
            f"{call.kind} computes its softmax itself, so the query and key behind the weights "
            "are not seen. Load the model with fused attention to follow it."
        )
    return Followed(vit, layer, call, seen)


def _walk(vit: Vit, call: AttentionCall, follow: _Follow, layer: int, query: int) -> Walk:
    assert call.query is not None and call.key is not None and call.value is not None
    pick = slice(query, query + 1)
    weights = call.rows(pick)
    heads = call.product(pick, weights)[0, :, 0]
    bias = None if call.bias is None else call.bias.expand(call.shape)[0, :, query]
    projection = _projection(vit, call, follow, query)
    made = Walk(
        layer=layer,
        query=query,
        before=None if call.stream is None else _array(call.stream[0]),
        tokens=None if call.normed is None else _array(call.normed[0]),
        queries=_array(call.query[0]),
        keys=_array(call.key[0]),
        values=_array(call.value[0]),
        scores=_array((call.query[0, :, pick].float() @ call.key[0].float().mT)[:, 0]),
        scale=call.scale,
        bias=None if bias is None else _array(bias),
        weights=_array(weights[0, :, 0]),
        heads=_array(heads),
        projection=projection,
        self_check=float("nan"),
    )
    if projection is not None and made.projected is not None:
        difference = float(np.abs(made.projected - projection.output).max())
    else:
        difference = float(call.check(pick, weights))
    object.__setattr__(made, "self_check", difference)
    return made


def _projection(vit: Vit, call: AttentionCall, follow: _Follow, query: int) -> Projection | None:
    """From the linear map that followed, or from ``nn.MultiheadAttention``, which hides it."""
    if call.finish is not None:
        module = vit.module.get_submodule(call.module) if call.module else None
        out = getattr(module, "out_proj", None)
        if out is None or call.output is None:
            return None
        weight, bias, output = out.weight, out.bias, call.output[0, 0, query]
        after = None
    elif follow.linear is not None and follow.linear[2].shape[1] == call.shape[2]:
        weight, bias, result = follow.linear
        output = result[0, query]
        after = None if follow.stream is None else follow.stream[0, query]
    else:
        return None
    scale = _layer_scale(vit, call.module)
    return Projection(
        weight=_array(weight),
        bias=_array(bias) if bias is not None else np.zeros(weight.shape[0], np.float32),
        output=_array(output),
        after=None if after is None else _array(after),
        layer_scale=None if scale is None else _array(scale),
    )


def _layer_scale(vit: Vit, attention: str) -> Tensor | None:
    """γ of the block around an attention module: ``ls1.gamma``, or ``gamma_1`` as BEiT has it."""
    block = vit.module.get_submodule(attention.rpartition(".")[0])
    gamma = getattr(getattr(block, "ls1", None), "gamma", None)
    if gamma is None:
        gamma = getattr(block, "gamma_1", None)
    return gamma if isinstance(gamma, Tensor) else None


def _array(tensor: Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
