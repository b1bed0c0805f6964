"""Where the readouts of a batch look, gathered while the pass runs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from attnlib.capture.averaged import averaged, kept
from attnlib.capture.call import AttentionCall, wide_dtype
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import CaptureError


class Followed:
    """The readout's rows in each layer of a pass, and its rollout, of every image of a batch.

    Told of each layer as the model makes it, it keeps of it what is left to do: nothing, the mean
    over heads, or the queries and keys where those are smaller, or where attention pools and so
    says only after the last layer which of its tokens are read.

    Args:
        layers: L, how many there will be.
        rollout: whether it is wanted.

    Attributes:
        checks: ``(B,)`` of each layer, the self-check of the rows above.
    """

    def __init__(self, layout: TokenLayout, layers: int, *, rollout: bool) -> None:
        weights = layout.readout_weights()
        self._readout = None if weights is None else torch.from_numpy(weights)
        self._leading = layout.leading
        self._layers = layers
        self._rollout = rollout
        self._rows: list[Tensor] = []
        self._below: list[Tensor | AttentionCall] = []
        self._means: Tensor | None = None
        self.checks: list[Tensor] = []

    def layer(self, call: AttentionCall) -> None:
        """The next layer, bottom first."""
        first = slice(0, max(1, self._leading))
        part = call.rows(first)
        self.checks.append(call.check(first, part))
        if self._readout is None:
            self._below.append(call.compact())
            return
        # Rollout goes through the last layer by the readout's rows alone.
        on = self._rollout and len(self._rows) + 1 < self._layers
        mean = self._mean(call) if on and _mean_is_smaller(call) else None
        if self._leading:
            self._rows.append(part.mean(dim=2))
            if mean is not None:
                averaged(call, mean=mean)
        else:
            rows = averaged(call, self._readout[None, None], mean=mean)
            assert rows is not None
            self._rows.append(rows[:, :, 0])
        if on:
            self._below.append(call.compact() if mean is None else mean)

    def _mean(self, call: AttentionCall) -> Tensor:
        """Where the mean of this layer goes, ``(B, T, T)``."""
        if self._means is None:
            batch, _, queries, keys = call.shape
            self._means = _room((self._layers - 1, batch, queries, keys), kept(call))
        return self._means[len(self._rows)]

    def ended(self, readout: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The readout's rows ``(L, B, H, T)``, and rollout ``(B, T)`` or None.

        Args:
            readout: ``(B, T)``, of each image, where attention pools.

        Raises:
            CaptureError: the layers have different numbers of heads.
        """
        if self._readout is None:
            assert readout is not None
            return self._down(readout)
        rows = _stacked(self._rows)
        if not self._rollout:
            return rows, None
        row = (self._readout.to(rows) + rows[-1].mean(dim=1)) / 2
        for layer in reversed(self._below):
            row = (row + _carried(layer, row)) / 2
        return rows, row

    def _down(self, readout: Tensor) -> tuple[Tensor, Tensor | None]:
        """As :meth:`ended`, of layers that were kept: both in one way down."""
        row, found = readout, []
        for call in reversed(self._below):
            assert isinstance(call, AttentionCall)
            vectors = torch.stack([readout, row], dim=1) if self._rollout else readout[:, None]
            carried = averaged(call, vectors)
            assert carried is not None
            found.append(carried[:, :, 0])
            if self._rollout:
                row = (row + carried[:, :, 1].mean(dim=1)) / 2
        return _stacked(found[::-1]), row if self._rollout else None


def _mean_is_smaller(call: AttentionCall) -> bool:
    """Whether the mean over heads takes less memory than the queries and keys."""
    if call.query is None or call.key is None:
        return True
    _, _, queries, keys = call.shape
    kept = (call.query[0].numel() + call.key[0].numel()) * call.key.element_size()
    return queries * keys * wide_dtype(call.key.dtype).itemsize <= kept


def _room(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory for a whole pass, taken at once: what is kept between layers would tear the heap."""
    dtype = wide_dtype(like.dtype)
    if like.device.type == "cpu":
        # NumPy asks for large pages; a batch has tens of thousands of small ones.
        return torch.from_numpy(np.empty(shape, np.float64 if dtype.itemsize == 8 else np.float32))
    return torch.empty(shape, dtype=dtype, device=like.device)


def _carried(layer: Tensor | AttentionCall, row: Tensor) -> Tensor:
    """``rowᵀ A`` ``(B, T)``, mean over heads."""
    if isinstance(layer, Tensor):
        return torch.bmm(row[:, None], layer)[:, 0]
    carried = averaged(layer, row[:, None])
    assert carried is not None
    return carried[:, :, 0].mean(dim=1)


def _stacked(rows: list[Tensor]) -> Tensor:
    if len({row.shape for row in rows}) > 1:
        raise CaptureError("The layers of this model have different numbers of heads.")
    return torch.stack(rows)
