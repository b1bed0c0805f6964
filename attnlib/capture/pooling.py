"""How a model whose layers do not all share their tokens pools in the end, by its gradient.

Among windows or stages no layer holds the tokens of all of them, but what is pooled in the end
does: tokens, or a map of features, whose places all have the same gradient if it is an average.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from attnlib.capture.dependence import ALIKE
from attnlib.capture.ending import ends_normalised
from attnlib.capture.probe import READ, Change, Probe, measured, score_of
from attnlib.errors import CaptureError

PoolingKind = Literal["even", "first", "uneven"]


@dataclass(frozen=True)
class Pooling:
    """What the logits make of the last places.

    Attributes:
        kind: ``"even"``: an average of all; ``"first"``: the first alone; ``"uneven"``: another.
        normalised: as :func:`attnlib.capture.ending.ends_normalised` says of the logits.
    """

    kind: PoolingKind
    normalised: bool


def pooling(module: nn.Module, pixels: Tensor, last: int) -> Pooling:
    """How one image's ``(1, C, h, w)`` last places are pooled; it must not be blank.

    Args:
        last: position of the last attention call.

    Raises:
        CaptureError: the gradient tells nothing, for the reason that the message says.
    """
    found = measured(module, lambda change: _found(module, pixels, last, change))
    if found is None:
        raise CaptureError("the logits do not change with what its last attention gives")
    return found


def _found(module: nn.Module, pixels: Tensor, last: int, change: Change) -> Pooling | None:
    """As :func:`pooling`; None where the gradient is zero everywhere."""
    probe = Probe(module, last, dimensions=(3, 4))
    logits, score = score_of(module, pixels, probe, change)
    if not probe.tokens or not score.requires_grad:
        raise CaptureError("the model cuts its tokens off from the gradient")
    gradients = torch.autograd.grad(score, probe.tokens, allow_unused=True)
    for gradient in reversed(gradients):
        if gradient is None or not bool(gradient.any()):
            continue
        if not bool(torch.isfinite(gradient).all()):
            raise CaptureError("its gradient is not finite")
        one = gradient[0].float()
        kinds = [_kind(way(one).flatten(0, -2)) for way in _ways(one)]
        if kinds:
            # One of the ways to read it is right; no other makes it even by chance.
            kind = min(kinds, key=("even", "first", "uneven").index)
            return Pooling(kind, ends_normalised(logits))
    return None


def even_reading(gradient: Tensor) -> Reading | None:
    """How a tensor of one image is to be read as places, if all have one gradient; else None.

    Args:
        gradient: of the tensor's own shape, ``(T, D)``, ``(D, T)``, ``(C, h, w)`` or
            ``(h, w, C)``.
    """
    if not bool(gradient.any()):
        return None
    for way in _ways(gradient):
        if _kind(way(gradient).flatten(0, -2)) == "even":
            return way
    return None


# Turns a tensor of one image into places: (n, D), or (rows, cols, D).
Reading = Callable[[Tensor], Tensor]


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _channels_first(tensor: Tensor) -> Tensor:
    return tensor.movedim(0, -1)


def _ways(gradient: Tensor) -> Iterator[Reading]:
    """The ways to read a tensor as more than one place."""
    ways = (_as_it_is, _channels_first) if gradient.ndim == 2 else (_channels_first, _as_it_is)
    # One place, or one number for each, is what is left after pooling, or weights for it.
    if min(gradient.shape) > 1:
        yield from ways


def _kind(rows: Tensor) -> PoolingKind:
    norms = rows.norm(dim=1)
    if float((rows - rows[0]).norm(dim=1).max()) <= ALIKE * float(norms[0]):
        return "even"
    return "first" if bool((norms[1:] <= READ * norms[0]).all()) else "uneven"
