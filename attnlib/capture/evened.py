"""Passes whose layers look partly where they would, and partly everywhere alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.capture.gradients import slopes
from attnlib.capture.passing import Model
from attnlib.capture.trace import Trace
from attnlib.errors import CaptureError

# A score of each image out of the model's scores: (B, C) -> (B,).
Score = Callable[[Tensor], Tensor]


def evened(
    vit: Model, pixels: Tensor, own: Tensor, score: Score
) -> list[tuple[Trace, list[Tensor]]]:
    """An image in B passes whose attention is w A + (1 - w) U, one pass for each w.

    A is what a layer's attention would be in that pass, U looks at all T tokens alike, 1 / T.
    Admission is the caller's, and so is memory: the graph of B passes is held.

    Args:
        pixels: ``(1, C, h, w)``.
        own: ``(B,)``, the w, 0 to 1; with 1 the pass is the plain one.
        score: the number whose gradient is taken.

    Returns:
        Of each pass the trace, whose layers are A, and d score / d((w A + (1 - w) U) V) of
        every layer, ``(1, H, T, dv)`` each, bottom first.

    Raises:
        CaptureError: the model lets nothing be put in place of its attention, takes it out of
            the graph, or its layers hold other tokens than were counted.
    """
    vit = vit.fitting(pixels)
    roles, tokens = iter(vit.support.roles), vit.layout.tokens
    layers: list[AttentionCall] = []
    pools: list[AttentionCall] = []
    mixed: list[Tensor] = []
    weight = own[:, None, None, None]

    def observe(call: AttentionCall) -> Tensor | None:
        role = next(roles, "refused")
        if role == "pool":
            pools.append(call.detached())
        if role != "layer":
            return None
        if call.shape[2:] != (tokens, tokens):
            raise CaptureError(
                f"{call.module or call.kind} attends between {call.shape[2]} and {call.shape[3]} "
                f"tokens, where {tokens} were counted: its tokens have no sure place."
            )
        # Around a frozen backbone the graph is the capture's, not the model's.
        with torch.enable_grad():
            mixed.append(_mixed(call, weight))
        layers.append(call.detached())
        return mixed[-1]

    with torch.enable_grad():
        images = pixels.detach().expand(len(own), -1, -1, -1).clone().requires_grad_()
        logits, _ = passes.forward(vit.module, images, observe, precision=vit.precision, graph=True)
        explained = score(vit.outputs.scores(logits)).sum()
        gradients = slopes(explained, mixed, "its attention")
    return [
        (
            Trace(
                vit.layout,
                tuple(call.image(i) for call in layers),
                pools[-1].image(i) if pools else None,
            ),
            [gradient[i : i + 1] for gradient in gradients],
        )
        for i in range(len(own))
    ]


def _mixed(call: AttentionCall, weight: Tensor) -> Tensor:
    """``(w A + (1 - w) U) V``, ``(B, H, T, dv)``, in the graph.

    Raises:
        CaptureError: values or weights are outside of the graph.
    """
    # Of nn.MultiheadAttention the operator returns more than A V.
    product = call.output if call.finish is None else call.product()
    value = call.value
    if product is None or value is None or not (product.requires_grad and value.requires_grad):
        raise CaptureError(
            "This model takes its attention out of the graph, so it has no slope. Use attention "
            "rollout or occlusion, which need none."
        )
    weight = weight.to(product.dtype)
    even = value.mean(dim=2, keepdim=True).to(product.dtype)
    return weight * product + (1 - weight) * even
