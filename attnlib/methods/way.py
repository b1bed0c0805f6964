"""The mean over the steps of a way, a batch of passes at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from attnlib.capture import passes
from attnlib.errors import OutOfMemory
from attnlib.methods.base import Progress

BATCH_SIZE = 4


def mean_over(
    steps: int, pixels: Tensor, at: Callable[[Tensor], Tensor], progress: Progress | None
) -> Tensor:
    """The mean over K ``steps`` places (k - 1/2) / K from 0 to 1, the midpoint rule.

    Admission is asked for batch by batch, so that others get their turn.

    Args:
        pixels: says where places are needed, and in which type.
        at: the sum over some places ``(B,)``; called with fewer when memory does not suffice.
        progress: called after each batch; what it raises ends the computation.

    Raises:
        OutOfMemory: not even one pass fits into memory.
    """
    places = (torch.arange(steps, device=pixels.device, dtype=pixels.dtype) + 0.5) / steps
    total, done, size = None, 0, BATCH_SIZE
    while done < steps:
        part = places[done : done + size]
        try:
            with passes.admitted():
                found = at(part)
        except OutOfMemory:
            if len(part) == 1:
                raise
            size = math.ceil(len(part) / 2)
            continue
        total = found if total is None else total + found
        done += len(part)
        if progress is not None:
            progress(done, steps)
    assert total is not None
    return total / steps
