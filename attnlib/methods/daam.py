"""DAAM: what the readout takes from each patch that raises the class's logit, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor

from attnlib.capture.call import AttentionCall
from attnlib.errors import CaptureError
from attnlib.methods.base import Method, Option, asked, patches_of
from attnlib.methods.subject import Subject


def daam(subject: Subject, target: int | None, *, start_layer: int = 0) -> Tensor:
    """Σ_l max(0, Σ_h Σ_q A_hqn max(0, G_hq) · V_hn) per patch n, ``(N,)``, not negative.

    G is the gradient of the target's logit with respect to A V, q runs over the tokens that the
    prediction is read from: what they take from a patch, in the channels that raise the logit.

    Raises:
        AttnlibError: there is no target, or no such layer.
        CaptureError: the prediction is not read from tokens of the last layer.
    """
    target = asked(target)
    weights = subject.layout.readout_weights()
    if weights is None:
        raise CaptureError(
            "DAAM follows the token that the prediction is read from, and this model pools its "
            "tokens by attention instead. Use gradient-weighted relevance."
        )
    different = subject.differentiable
    layers = different.trace.starting(start_layer)
    gradients = different.of_attention(target)[start_layer:]
    read = torch.from_numpy(weights > 0).to(different.trace.device)
    total = torch.zeros(subject.layout.tokens, device=read.device)
    for call, gradient in zip(layers, gradients, strict=True):
        assert call.value is not None
        slopes = gradient[0].float().clamp(min=0) * read[:, None]
        taken = _carried(call, slopes) * call.value[0].float()
        total += taken.sum(dim=(0, 2)).clamp(min=0)
    return patches_of(total, subject.layout)


def _carried(call: AttentionCall, vectors: Tensor) -> Tensor:
    """``Aᵀ v`` of each head with vectors of its own: ``(H, T, d) -> (H, T, d)``."""
    if not vectors[:, 1:].any():
        # A CLS token's row alone.
        return call.rows(slice(0, 1))[0].float().mT @ vectors[:, :1]
    result = torch.zeros_like(vectors)
    for head, rows, block in call.blocks():
        result[head] += block.float().mT @ vectors[head, rows]
    return result


DAAM = Method(
    name="daam",
    title="DAAM",
    compared=False,
    description=(
        "What the token of the prediction takes from each patch in every layer, counted in the "
        "channels that raise the class's logit, and summed over the layers."
    ),
    source="Liao, Gao & Zhang, Pattern Recognition 2025, eq. 7 to 12",
    unit="contribution to the readout",
    compute=daam,
    class_specific=True,
    needs="relevance",
    options={"start_layer": Option(0, "First layer that takes part, counted from 0.", low=0)},
    passes="1 + 1 back",
)
