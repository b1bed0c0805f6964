"""The attention of one image through all layers, and vectors carried down through it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attnlib.capture.call import AttentionCall
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError, CaptureError

# How the part of an attention map that belongs to (heads, queries) is turned into what is
# carried down: the identity for rollout, gradient weighting for relevance.
Weighting = Callable[[slice, slice, Tensor], Tensor]


@dataclass(frozen=True)
class Trace:
    """All global attention of one forward pass of one image.

    Attributes:
        layout: the tokens.
        layers: one call per layer, bottom first, each ``(1, H, T, T)``.
        pool: the pooling or class-attention call ``(1, H, n, Tk)`` after the last layer, if any.
    """

    layout: TokenLayout
    layers: tuple[AttentionCall, ...]
    pool: AttentionCall | None = None

    def readout(self) -> Tensor:
        """The readout as a distribution over the queries of the last layer, ``(T,)``.

        Raises:
            CaptureError: the model has no readout that a row of attention could stand for.
        """
        device = self.device
        weights = self.layout.readout_weights()
        if weights is not None:
            return torch.from_numpy(weights).to(device)
        if self.pool is None:
            raise CaptureError(
                "This model has neither a CLS token, nor an average, nor attention pooling as "
                "its readout, so no query stands for the prediction."
            )
        row = self.pool.rows()[0].mean(dim=(0, 1))
        # A class token that joins after the last layer (CaiT) is the first key of the pool only;
        # prefix tokens that a pool leaves out have no part in it.
        missing = self.layout.tokens - row.shape[0]
        row = row[-missing:] if missing < 0 else torch.cat([row.new_zeros(missing), row])
        return row / row.sum()

    def starting(self, layer: int) -> tuple[AttentionCall, ...]:
        """The layers from the given one up.

        Raises:
            AttnlibError: there is no such layer.
        """
        if not 0 <= layer < len(self.layers):
            raise AttnlibError(
                f"start_layer must be from 0 to {len(self.layers) - 1}, not {layer}."
            )
        return self.layers[layer:]

    @property
    def device(self) -> torch.device:
        call = self.layers[-1] if self.layers else self.pool
        assert call is not None
        tensor = call.weights if call.key is None else call.key
        assert tensor is not None
        return tensor.device


def carry(call: AttentionCall, vectors: Tensor, weighting: Weighting | None = None) -> Tensor:
    """``vᵀ A`` for some vectors and every head of one layer: ``(k, T) -> (H, k, T)``.

    Exact, without ever holding the whole ``(H, T, T)`` of a large layer.
    """
    _, heads, _, keys = call.shape
    if weighting is None and not vectors[:, 1:].any():
        # Only the first token's row matters (a CLS readout at the last layer).
        return call.rows(slice(0, 1))[0] * vectors[None, :, :1].to(_dtype(call))
    result = vectors.new_zeros((heads, vectors.shape[0], keys), dtype=_dtype(call))
    vectors = vectors.to(result.dtype)
    for head, rows, block in call.blocks():
        if weighting is not None:
            block = weighting(head, rows, block)
        part = vectors[:, rows].expand(block.shape[0], -1, -1)
        result[head].baddbmm_(part, block)
    return result


def _dtype(call: AttentionCall) -> torch.dtype:
    tensor = call.weights if call.key is None else call.key
    assert tensor is not None
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
