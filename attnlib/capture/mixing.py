"""Attention with the residual connection beside it, layer upon layer: what rollout multiplies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture.call import AttentionCall
from attnlib.capture.trace import Trace, carry


def rollout_row(
    trace: Trace,
    *,
    head_fusion: str = "mean",
    discard_ratio: float = 0.0,
    residual_weight: float = 0.5,
    start_layer: int = 0,
) -> Tensor:
    """``eᵀ Â_L … Â_s`` ``(T,)``, not negative, sum 1 (Abnar & Zuidema 2020, section 3).

    ``Â`` are the rows of ``(1 - w) A + w I``, renormalised, with ``w`` the residual weight from
    0 to 1.  The paper has w = ½; w = 0 is attention alone, and w = 1 leaves the readout as it is.

    A vector-matrix product per layer from the last one down: O(L T²), never O(L T³).

    Raises:
        AttnlibError: there is no such start layer.
    """
    row = trace.readout()
    for call in reversed(trace.starting(start_layer)):
        row = step_down(
            row, call, trace.layout.carriers, head_fusion, discard_ratio, residual_weight
        )
    return row


def step_down(
    row: Tensor,
    call: AttentionCall,
    carriers: Sequence[int],
    head_fusion: str,
    discard_ratio: float,
    residual_weight: float,
) -> Tensor:
    """``rowᵀ Â`` of one layer, ``(T,) -> (T,)``; the sum of the row stays."""
    kept, read = residual_weight, 1.0 - residual_weight
    if head_fusion == "mean" and discard_ratio == 0:
        # Rows of a mean of attention sum to 1, so there is nothing to renormalise.
        return kept * row + read * carry(call, row[None])[:, 0].mean(dim=0)
    fused = fused_map(call, head_fusion)
    if discard_ratio > 0:
        fused = discard(fused, discard_ratio, carriers)
    # Rows of (1 - w) A + w I sum to (1 - w) Σ A + w.
    total = read * fused.sum(dim=1) + kept
    weighted = row / torch.where(total > 0, total, torch.ones_like(total))
    # A token all of whose entries were discarded, without a residual, stays where it is.
    lost = torch.where(total > 0, torch.zeros_like(row), row)
    return read * (weighted @ fused) + kept * weighted + lost


def mixing_map(
    call: AttentionCall,
    carriers: Sequence[int],
    head_fusion: str,
    discard_ratio: float,
    residual_weight: float,
) -> NDArray[np.float64]:
    """``Â`` of one layer as a whole ``(T, T)``, rows sum to 1: what :func:`step_down` applies."""
    fused = fused_map(call, head_fusion)
    if discard_ratio > 0:
        fused = discard(fused, discard_ratio, carriers)
    identity = np.eye(fused.shape[0])
    mixed = (1.0 - residual_weight) * fused.cpu().numpy().astype(np.float64)
    mixed += residual_weight * identity
    total = mixed.sum(axis=1, keepdims=True)
    mapped: NDArray[np.float64] = np.where(
        total > 0, mixed / np.where(total > 0, total, 1), identity
    )
    return mapped


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


def discard(fused: Tensor, ratio: float, carriers: Sequence[int]) -> Tensor:
    """Zero the lowest ``ratio`` of one image's map ``(T, T)``, ties with the threshold kept.

    The columns of the readout's own tokens are never dropped: they carry the readout on to the
    layer below.
    """
    flat = fused.detach().cpu().numpy().ravel()
    count = min(int(flat.size * ratio), flat.size - 1)
    # Partial sorting is many times faster than a quantile, which also refuses 2^24 elements.
    threshold = float(np.partition(flat, count)[count])
    keep = fused >= threshold
    keep[:, list(carriers)] = True
    return torch.where(keep, fused, fused.new_zeros(()))
