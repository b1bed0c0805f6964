"""Direct effects: the logit taken apart into what each layer, head and patch writes to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.lens import Additions
from attnlib.capture.stream import storage
from attnlib.errors import AttnlibError, CaptureError
from attnlib.methods.lrp_rules import Rules
from attnlib.model.vit import Vit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DirectEffect:
    """What every part of a model adds to one logit by itself; the parts sum to the logit.

    A part is what something writes to the residual stream, through the model's last steps with
    the deviation of the last normalisation as a number. What a later layer makes of it is that
    layer's part: a head that works through others has a small direct effect. So it ranks heads
    as their removal does in the last layers only.

    Attributes:
        logit: the number taken apart.
        tokens: ``(L, H, T)``, what each head reads from each token, prefix tokens first.
        rest: ``(L,)`` of each attention, what is no head's: the biases of its projection.
        mixing: ``(L,)``, what comes after the attention of each layer (its MLP).
        embedding: what the tokens before the first layer add.
        constant: what the last steps add by themselves: biases.
    """

    logit: float
    tokens: Array
    rest: Array
    mixing: Array
    embedding: float
    constant: float

    @property
    def heads(self) -> Array:
        """``(L, H)``: the part of each head."""
        return np.asarray(self.tokens.sum(axis=2))

    @property
    def layers(self) -> Array:
        """``(L,)``: the part of each layer, its attention and its mixing."""
        return np.asarray(self.heads.sum(axis=1) + self.rest + self.mixing)

    def sum(self) -> float:
        """All parts together: the logit, but for rounding."""
        return float(self.layers.sum()) + self.embedding + self.constant


def direct_effect(
    vit: Vit, pixels: Tensor, target: int, against: int | None = None
) -> DirectEffect:
    """Take the logit of a class apart, or the margin of two: one pass, and its last steps back.

    Args:
        pixels: ``(1, C, h, w)``, as ``vit.pixels`` makes it.
        target: class whose logit is taken apart.
        against: class whose logit is subtracted from it.

    Raises:
        AttnlibError: there is no such class.
        CaptureError: the model has no one residual stream that all its layers add to.
    """
    vit = vit.fitting(pixels)
    for index in (target, against):
        if index is not None and not 0 <= index < len(vit.class_names):
            raise AttnlibError(
                f"A class must be from 0 to {len(vit.class_names) - 1}, not {index}."
            )
    calls: list[AttentionCall] = []
    counts: list[int] = []
    roles = iter(vit.support.roles)

    def observe(call: AttentionCall) -> None:
        if next(roles, "refused") == "layer":
            calls.append(call)
            counts.append(len(watch.states))

    watch = Additions(vit.layout.tokens)
    with passes.admitted(), torch.enable_grad():
        image = pixels.detach().clone().requires_grad_()
        with Rules(through_weights=False), watch:
            logits, _ = passes.forward(
                vit.module, image, observe, precision=vit.precision, graph=True
            )
        scores = vit.outputs.scores(logits)[0]
        score = scores[target] if against is None else scores[target] - scores[against]
        states = _states(vit, calls, counts, watch.states)
        (slope,) = torch.autograd.grad(score, watch.states[-1], retain_graph=True)
        tokens = np.stack(
            [
                _of_layer(call, watch.states[count], slope)
                for call, count in zip(calls, counts, strict=True)
            ]
        )

    def written(state: Tensor) -> float:
        return float((slope.double() * state.detach().double()).sum())

    ends = np.array([written(state) for state in states])
    between = np.array([written(watch.states[count]) for count in counts])
    return DirectEffect(
        logit=float(score.detach()),
        tokens=tokens,
        rest=between - ends[:-1] - tokens.sum(axis=(1, 2)),
        mixing=ends[1:] - between,
        embedding=float(ends[0]),
        constant=float(score.detach()) - float(ends[-1]),
    )


def _states(
    vit: Vit, calls: list[AttentionCall], counts: list[int], sums: list[Tensor]
) -> list[Tensor]:
    """The stream before each layer and after the last, ``(L + 1)`` of ``(1, T, D)``.

    Raises:
        CaptureError: what a layer reads is no such sum, or a layer adds nothing.
    """
    before = [call.stream for call in calls]
    ends = [*counts[1:], len(sums)]
    fits = bool(calls) and all(
        stream is not None and (layer == 0 or storage(stream) == storage(sums[end - 1]))
        for layer, (stream, end) in enumerate(zip(before, counts, strict=True))
    )
    if not fits or any(end <= count for count, end in zip(counts, ends, strict=True)):
        raise CaptureError(
            f"{vit.name} has no one stream of tokens that all its layers add to, so its logits "
            "are no sum of what they write. Removing heads shows what they do."
        )
    return [*(stream for stream in before if stream is not None), sums[-1]]


def _of_layer(call: AttentionCall, after: Tensor, slope: Tensor) -> Array:
    """What each head reads from each token towards the score, ``(H, T)``."""
    if call.node is None or call.value is None or not call.node.requires_grad:
        raise CaptureError("This model takes its attention out of the graph.")
    (gradient,) = torch.autograd.grad(after, call.node, slope, retain_graph=True)
    gradient = (call.pull(gradient) if call.pull else gradient)[0]
    values = call.value[0].detach()
    still = call.detached()
    found = torch.zeros(values.shape[:2], dtype=torch.float64)
    if not gradient[:, 1:].any():
        # A CLS token's row alone.
        reach = gradient[:, :1] @ values.to(gradient.dtype).mT
        return (reach * still.rows(slice(0, 1))[0])[:, 0].double().cpu().numpy()
    for head, rows, block in still.blocks():
        reach = gradient[head, rows] @ values[head].to(gradient.dtype).mT
        found[head] += (reach * block).sum(dim=1).double().cpu()
    return found.numpy()
