"""Gradient-weighted relevance: attention that the chosen class's logit depends on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attnlib.capture.trace import Trace, carry
from attnlib.methods.base import Method, Option, asked, patches_of
from attnlib.methods.subject import Subject


def relevance(subject: Subject, target: int | None, *, start_layer: int = 0) -> Tensor:
    """The readout's row of relevance to the target's logit, ``(N,)``, not negative."""
    target = asked(target)
    different = subject.differentiable
    return along(different.trace, different.of_attention(target), start_layer)


def along(trace: Trace, gradients: Sequence[Tensor], start_layer: int) -> Tensor:
    """The readout's row of relevance to any number z that the model computes, ``(N,)``.

    R ← R + E_h[(∇A ⊙ A)⁺] R from the first layer up, for the readout's row alone:
    r ← r + rᵀ E_h[(∇A ⊙ A)⁺] from the last layer down.  ∇A of z is d(A V) Vᵀ, formed in
    blocks, so neither A nor ∇A is ever held whole.

    Args:
        gradients: d z / d(A V) of every layer, ``(1, H, T, dv)`` each, bottom first.
    """
    readout = row = trace.readout()
    for call, gradient in reversed(
        list(zip(trace.starting(start_layer), gradients[start_layer:], strict=True))
    ):
        assert call.value is not None
        values = call.value[0].transpose(-2, -1)

        def weigh(
            heads: slice,
            rows: slice,
            block: Tensor,
            gradient: Tensor = gradient,
            values: Tensor = values,
        ) -> Tensor:
            slope = torch.matmul(gradient[0, heads, rows], values[heads]).to(block.dtype)
            return slope.mul_(block).clamp_(min=0)

        row = row + carry(call, row[None], weigh)[:, 0].mean(dim=0)
    # R starts from the identity, which is no evidence; for a CLS readout it is not on a patch.
    return patches_of(row - readout, trace.layout)


RELEVANCE = Method(
    name="relevance",
    title="Gradient-weighted relevance",
    short="relevance",
    abbreviation="rel",
    description=(
        "Attention counts where raising it would raise the chosen class's logit. It answers "
        "why this class, and differs from class to class."
    ),
    source="Chefer, Gur & Wolf, ICCV 2021, eq. 5 and 6",
    unit="relevance to the class's logit",
    compute=relevance,
    class_specific=True,
    needs="relevance",
    options={"start_layer": Option(0, "First layer that takes part, counted from 0.", low=0)},
    passes="1 + 1 back",
)
