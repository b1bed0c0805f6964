"""One layer of a whole batch, carried or averaged without ever holding all of its weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attnlib.capture.call import AttentionCall, wide_dtype

# Weights that are formed at a time: they and their average stay in a core's cache. Other devices
# are kept busy by larger pieces.
_ELEMENTS = {"cpu": 1 << 18}
_ELSEWHERE = 1 << 25

# Sums of exponentials between these lost nothing: what is too small to be held is less than 1e-18
# of its row, and nothing was too large.
_LEAST, _MOST = 1e-20, 1e30

# Images, head, queries, weights (b, n, Tk) up to the factor of each of their rows (b, n, 1).
Piece = tuple[slice, int, slice, Tensor, Tensor]


def averaged(
    call: AttentionCall, vectors: Tensor | None = None, *, mean: Tensor | None = None
) -> Tensor | None:
    """``vᵀ A`` of each head for vectors of each image, and the mean over heads of ``A``.

    Args:
        vectors: ``(B, k, T)``, or ``(1, k, T)`` for all images alike.
        mean: ``(B, T, T)``, where to write the mean; None if it is not wanted.

    Returns:
        ``(B, H, k, T)``; None without vectors.
    """
    batch, heads, _, keys = call.shape
    device, dtype = kept(call).device, wide_dtype(kept(call).dtype)
    carried = None
    if vectors is not None:
        vectors = vectors.to(device, dtype).expand(batch, -1, -1)
        carried = vectors.new_zeros(batch, heads, vectors.shape[1], keys)
    for images, head, asked, block, share in _pieces(call):
        if vectors is not None and carried is not None:
            part = vectors[images, :, asked] * share.mT
            carried[images, head] += torch.bmm(part, block)
        if mean is None:
            continue
        if head == 0:
            torch.mul(block, share / heads, out=mean[images, asked])
        else:
            mean[images, asked].addcmul_(block, share / heads)
    return carried


def kept(call: AttentionCall) -> Tensor:
    """A tensor that the weights come from, for their device and type."""
    tensor = call.weights if call.key is None else call.key
    assert tensor is not None
    return tensor


def _pieces(call: AttentionCall) -> Iterator[Piece]:
    """All weights of a call. They share one buffer: use each up before asking for the next."""
    batch, heads, queries, keys = call.shape
    device, dtype = kept(call).device, wide_dtype(kept(call).dtype)
    most = _ELEMENTS.get(device.type, _ELSEWHERE)
    asked = min(queries, max(1, most // keys))
    images = min(batch, max(1, most // (asked * keys)))
    scratch = torch.empty(images, asked, keys, dtype=dtype, device=device)
    for start in range(0, batch, images):
        some = slice(start, min(start + images, batch))
        for head in range(heads):
            for first in range(0, queries, asked):
                part = slice(first, min(first + asked, queries))
                block = scratch[: some.stop - some.start, : part.stop - part.start]
                yield some, head, part, block, _formed(call, some, head, part, block)


def _formed(call: AttentionCall, images: slice, head: int, queries: slice, out: Tensor) -> Tensor:
    """Write weights up to a factor for each row, and return the factors."""
    if call.weights is not None:
        out.copy_(call.weights[images, head, queries])
        return out.new_ones(1, 1, 1)
    _scores(call, images, head, queries, out)
    if out.device.type == "cpu":
        # Several times faster there than a softmax, which finds each row's largest first.
        sums = out.exp_().sum(dim=-1, keepdim=True)
        least, most = sums.aminmax()
        if float(least) > _LEAST and float(most) < _MOST:
            return sums.reciprocal_()
        _scores(call, images, head, queries, out)
    torch.softmax(out, dim=-1, out=out)
    return out.new_ones(1, 1, 1)


def _scores(call: AttentionCall, images: slice, head: int, queries: slice, out: Tensor) -> None:
    """``scale · Q Kᵀ + bias``."""
    assert call.query is not None and call.key is not None
    with torch.autocast(out.device.type, enabled=False):
        query = call.query[images, head, queries].to(out.dtype)
        key = call.key[images, head].to(out.dtype)
        torch.baddbmm(out, query, key.mT, beta=0, alpha=call.scale, out=out)
    if call.bias is not None:
        out += call.bias.expand(call.shape)[images, head, queries]
