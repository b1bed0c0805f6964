"""Attention rollout: attention multiplied through all layers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attnlib.capture import AttentionCall
from attnlib.methods.base import HEAD_FUSION, Method, Option, Subject, patches_of
from attnlib.trace import Trace, carry


def rollout(
    subject: Subject,
    target: int | None,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
) -> Tensor:
    """The readout's row of the product of all layers, ``(N,)``: shares that sum to 1 at most."""
    row = rollout_row(
        subject.trace,
        head_fusion=head_fusion,
        discard_ratio=discard_ratio,
        start_layer=start_layer,
    )
    return patches_of(row, subject.layout)


def rollout_row(
    trace: Trace,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    start_layer: int = 0,
) -> Tensor:
    """``eᵀ Â_L … Â_s`` ``(T,)`` with Â = rows of (½ A + ½ I) renormalised (Abnar & Zuidema §3).

    A vector-matrix product per layer from the last one down: O(L T²), never O(L T³).
    """
    row = trace.readout()
    for call in reversed(trace.starting(start_layer)):
        if head_fusion == "mean" and discard_ratio == 0:
            # Rows of a mean of attention sum to 1, so there is nothing to renormalise.
            row = 0.5 * (row + carry(call, row[None])[:, 0].mean(dim=0))
            continue
        fused = fused_map(call, head_fusion)
        if discard_ratio > 0:
            fused = discard(fused, discard_ratio, trace.layout.readout)
        # Rows of ½ A + ½ I sum to ½ (Σ A + 1).
        scale = 1.0 / (fused.sum(dim=1) + 1.0)
        weighted = row * scale
        row = weighted @ fused + weighted
    return row


def fused_map(call: AttentionCall, head_fusion: str) -> Tensor:
    """Mean, maximum or minimum over heads of one layer's attention, ``(T, T)``.

    Accumulated block by block: one map is held, not one per head.
    """
    _, heads, queries, keys = call.shape
    fused: Tensor | None = None
    for _, rows, block in call.blocks():
        if fused is None:
            start = {"mean": 0.0, "max": 0.0, "min": float("inf")}[head_fusion]
            fused = block.new_full((queries, keys), start)
        if head_fusion == "mean":
            fused[rows] += block.sum(dim=0) / heads
        elif head_fusion == "max":
            fused[rows] = torch.maximum(fused[rows], block.amax(dim=0))
        else:
            fused[rows] = torch.minimum(fused[rows], block.amin(dim=0))
    assert fused is not None
    return fused


def discard(fused: Tensor, ratio: float, readout: str) -> Tensor:
    """Zero the lowest ``ratio`` of one image's map ``(T, T)``, ties with the threshold kept.

    The column of the readout's own prefix tokens is never dropped: it carries the readout on
    to the layer below.
    """
    flat = fused.detach().cpu().numpy().ravel()
    count = min(int(flat.size * ratio), flat.size - 1)
    # Partial sorting is many times faster than a quantile, which also refuses 2^24 elements.
    threshold = float(np.partition(flat, count)[count])
    keep = fused >= threshold
    keep[:, : {"cls": 1, "cls+dist": 2, "cls+average": 1}.get(readout, 0)] = True
    return torch.where(keep, fused, fused.new_zeros(()))


ROLLOUT = Method(
    name="rollout",
    title="Attention rollout",
    description=(
        "Attention followed through all layers, with the residual connection as one half of "
        "each layer: how much of every patch reaches the readout if attention were all that "
        "mixes tokens. It is the same for every class."
    ),
    source="Abnar & Zuidema 2020, section 3",
    unit="share of the readout",
    compute=rollout,
    share=True,
    options={
        "head_fusion": HEAD_FUSION,
        "discard_ratio": Option(
            0.0, "Lowest share of each layer's entries that is set to zero.", low=0.0, high=0.99
        ),
        "start_layer": Option(0, "First layer that takes part, counted from 0.", low=0),
    },
)
