"""What the model's own ending makes of its tokens after each layer: the logit lens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.mode import Capture
from attnlib.capture.passing import Model
from attnlib.capture.stream import storage
from attnlib.errors import AttnlibError, CaptureError

# Of each model how many sums of tokens a pass makes, by shape and precision of the images.
_SUMS: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], int]] = WeakKeyDictionary()
# Above the rounding of half precision on the way to logits of about ten.
_CLOSE = 0.02


@dataclass(frozen=True)
class Lens:
    """Scores after each layer.

    Attributes:
        logits: ``(L, C)`` of the tokens after each layer, bottom first; the last is the model's.
        layers: the attention of each layer, with its graph where one was asked for.
    """

    logits: Tensor
    layers: tuple[AttentionCall, ...]


class Additions(TorchFunctionMode):
    """The sums of tokens that a forward pass makes: the states of its residual stream.

    Args:
        shape: ``(1, T, D)`` of the tokens.
        last: at which sum, counted from 1, to go on with ``instead`` of it.

    Attributes:
        states: the sums in their order.
    """

    def __init__(
        self,
        tokens: int,
        last: int | None = None,
        instead: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self._tokens, self._last, self._instead = tokens, last, instead
        self.states: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name = func.__name__.strip("_")
        if name == "iadd":
            # In place it would change the state that was there before.
            func = torch.add
        result = func(*args, **(kwargs or {}))
        if name in ("add", "iadd", "radd") and result.ndim == 3 and len(result) == 1:
            if result.shape[1] != self._tokens:
                return result
            self.states.append(result)
            if len(self.states) == self._last and self._instead is not None:
                return self._instead(result)
        return result


def lens(
    vit: Model, pixels: Tensor, *, graph: bool = False, expected: Tensor | None = None
) -> Lens:
    """The logits that the model's last steps make of the tokens after each layer.

    All that comes after the last residual addition (normalisation, pooling, classifier) is made
    for the tokens of all layers at once, in one pass; another finds the place, once for each
    size of image.  Not admitted.

    Args:
        pixels: ``(1, C, h, w)``.
        graph: keep the graph, for gradients of the logits.
        expected: ``(C,)``, the model's logits where they are known; else the pass that finds the
            place is made for them.

    Raises:
        CaptureError: the model has no residual stream that its layers read and its ending goes
            on with.
    """
    vit = vit.fitting(pixels)
    module, tokens = vit.module, vit.layout.tokens
    sums, of = _SUMS.setdefault(module, {}), (tuple(pixels.shape), vit.precision)
    if expected is None or of not in sums:
        plain = Additions(tokens)
        with torch.no_grad(), plain:
            logits, _ = passes.forward(module, pixels, precision=vit.precision)
        expected, sums[of] = logits[0], len(plain.states)
    calls: list[AttentionCall] = []
    roles = iter(vit.support.roles)

    def observe(call: AttentionCall) -> None:
        if next(roles, "refused") == "layer":
            calls.append(call)

    def stacked(state: Tensor) -> Tensor:
        known = {storage(one) for one in watch.states}
        streams = [call.stream for call in calls[1:]]
        if not all(s is not None and storage(s) in known for s in streams):
            raise CaptureError(_undefined(vit))
        return torch.cat([s.to(state.dtype) for s in streams if s is not None] + [state])

    watch = Additions(tokens, sums[of], stacked)
    device = pixels.device
    with torch.set_grad_enabled(graph), watch, passes.autocast(device, vit.precision):
        pixels = pixels.detach().clone().requires_grad_(graph)
        with Capture(module, observe, graph=graph):
            try:
                output = module(pixels)
            except AttnlibError:
                raise
            except RuntimeError as error:
                if passes.is_memory(error):
                    raise
                raise CaptureError(_undefined(vit)) from error
    try:
        logits = passes.logits_of(output, len(calls))
    except AttnlibError as error:
        raise CaptureError(_undefined(vit)) from error
    if not torch.allclose(
        logits[-1].float(), expected.to(pixels.device).float(), rtol=_CLOSE, atol=_CLOSE
    ):
        raise CaptureError(_undefined(vit))
    return Lens(logits, tuple(calls))


def _undefined(vit: Model) -> str:
    return (
        f"{vit.name} has no one stream of tokens that its layers add to and its last steps go on "
        "with, so there are no logits after each layer. Relevance and rollout need none."
    )
