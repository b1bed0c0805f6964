"""Forward passes in which some attention is replaced by another, seen by no other thread."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnlib.capture import passes
from attnlib.capture.call import AttentionCall
from attnlib.errors import AttnlibError, CaptureError
from attnlib.model.vit import Vit

# Gets the number of a layer and its attention; returns what goes on in place of A V,
# (B, H, T, dv), or None to leave it as it is.
Change = Callable[[int, AttentionCall], Tensor | None]


def forward(vit: Vit, images: Tensor, change: Change) -> Tensor:
    """Logits ``(B, C)`` of a pass in which ``change`` sees every layer, counted from 0.

    Admitted on its own; the caller decides about gradients.

    Raises:
        CaptureError: the model's attention lets nothing be put in its place.
        OutOfMemory: the device ran out of memory.
    """
    roles = iter(vit.fitting(images).support.roles)
    layer = -1

    def observe(call: AttentionCall) -> Tensor | None:
        nonlocal layer
        if next(roles, "refused") != "layer":
            return None
        layer += 1
        return change(layer, call)

    with passes.admitted():
        logits, _ = passes.forward(vit.module, images, observe, precision=vit.precision)
    return logits


def at_temperature(vit: Vit, pixels: Tensor, temperature: float) -> Tensor:
    """Logits ``(B, C)`` with the softmax of every layer at another temperature.

    q kᵀ is divided by √d times ``temperature``: below 1 attention sharpens, above 1 it flattens,
    1 is the model as it is.  A position bias or mask is added after the division, unchanged; a
    model that hands on its weights only has ``log A`` divided, bias and all.

    Raises:
        AttnlibError: the temperature is not positive.
        CaptureError: the model has no layers of attention between all tokens.
    """
    if not temperature > 0:
        raise AttnlibError(f"The temperature must be above 0, not {temperature!r}.")
    vit = vit.fitting(pixels)
    if not vit.support.calls("layer"):
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {vit.support.reason}."
        )
    if temperature == 1:
        with torch.no_grad():
            return forward(vit, pixels, lambda layer, call: None)

    def change(layer: int, call: AttentionCall) -> Tensor:
        return tempered(call, temperature).product()

    with torch.no_grad():
        return forward(vit, pixels, change)


def tempered(call: AttentionCall, temperature: float) -> AttentionCall:
    """The same attention at another temperature, as :func:`at_temperature` has it."""
    if call.weights is None:
        return replace(call, scale=call.scale / temperature)
    return replace(call, weights=torch.softmax(call.weights.log() / temperature, dim=-1))


def without_attention(
    vit: Vit,
    pixels: Tensor,
    queries: NDArray[np.bool_],
    keys: NDArray[np.bool_],
    layers: Collection[int] | None = None,
) -> Tensor:
    """Logits ``(B, C)`` where some tokens cannot look at some others.

    As if the scores had been masked before the softmax: the rest of each row grows to sum to 1.
    A row of which nothing is left stays as it is, since a softmax over nothing is undefined.

    Args:
        queries, keys: ``(T,)`` bool, tokens in sequence order.
        layers: in which layers, counted from 0; in all if None.

    Raises:
        AttnlibError: there is no such layer, or the masks are not of this model's tokens.
        CaptureError: the model has no layers of attention between all tokens.
    """
    vit = vit.fitting(pixels)
    count, tokens = len(vit.support.calls("layer")), vit.layout.tokens
    if not count:
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {vit.support.reason}."
        )
    wanted = set(range(count) if layers is None else layers)
    strangers = sorted(wanted - set(range(count)))
    if strangers:
        raise AttnlibError(f"There is no layer {strangers[0]}: this model has {count} layers.")
    if queries.shape != (tokens,) or keys.shape != (tokens,):
        raise AttnlibError(
            f"Tokens are chosen by masks of shape ({tokens},), not {queries.shape} and "
            f"{keys.shape}."
        )
    cut = torch.from_numpy(queries[:, None] & keys).to(vit.device)

    def change(layer: int, call: AttentionCall) -> Tensor | None:
        if layer not in wanted:
            return None
        rows = call.rows()
        left = rows.masked_fill(cut, 0)
        sums = left.sum(dim=-1, keepdim=True)
        return call.product(rows=torch.where(sums > 0, left / sums, rows))

    with torch.no_grad():
        return forward(vit, pixels, change)
