"""A name for what one attention matrix looks like, with the number behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.capture.tokens import TokenLayout

BROADCAST, DIAGONAL, LOCAL = 0.5, 0.5, 0.5


@dataclass(frozen=True)
class Pattern:
    """The pattern of one head on one image.

    Attributes:
        name: ``"broadcast"``, ``"diagonal"``, ``"local"`` or ``"global"``.
        value: the number that decided.
        threshold: what it had to reach (for global: what local did not go below).
        explanation: one sentence that says both.
        numbers: all the numbers: ``broadcast`` and ``token``, the largest share that one token
            receives and which one; ``diagonal`` and ``offset``, the largest share of patch
            attention at one (row, column) offset; ``distance``, attention distance over that of
            uniform attention.
    """

    name: str
    value: float
    threshold: float
    explanation: str
    numbers: Mapping[str, object]


def pattern(matrix: NDArray[np.floating], layout: TokenLayout) -> Pattern:
    """Name the pattern of one head's attention ``(T, T)``, rows are queries.

    Asked in this order: *broadcast*, at least half of all attention goes to one token;
    *diagonal*, at least half of the attention between patches is at one fixed offset (0, 0 is
    the patch itself); *local*, the attention distance is at most half of what uniform attention
    would have; else *global*.
    """
    wide = matrix.astype(np.float64)
    received = wide.mean(axis=0)
    token = int(received.argmax())
    broadcast = float(received[token])
    first = layout.tokens - layout.patches
    between = wide[first:, first:]
    mass = between.sum(axis=1, keepdims=True)
    between = between / np.where(mass > 0, mass, 1.0)
    diagonal, offset = _offset(between, layout.grid)
    steps = layout.distances()
    distance = float((between * steps).sum() / steps.mean() / layout.patches)
    numbers = {
        "broadcast": broadcast,
        "token": layout.token_name(token),
        "diagonal": diagonal,
        "offset": offset,
        "distance": distance,
    }
    if broadcast >= BROADCAST:
        text = f"{broadcast:.0%} of all attention goes to {layout.token_name(token)}"
        return Pattern("broadcast", broadcast, BROADCAST, text, numbers)
    if diagonal >= DIAGONAL:
        where = "to the patch itself" if offset == (0, 0) else f"at the offset {offset}"
        text = f"{diagonal:.0%} of the attention between patches is {where}"
        return Pattern("diagonal", diagonal, DIAGONAL, text, numbers)
    text = f"its attention distance is {distance:.2f} of that of uniform attention"
    return Pattern("local" if distance <= LOCAL else "global", distance, LOCAL, text, numbers)


def _offset(between: NDArray[np.float64], grid: tuple[int, int]) -> tuple[float, tuple[int, int]]:
    """The largest share at one offset, over the queries that have a patch there."""
    rows, cols = grid
    row, col = np.divmod(np.arange(rows * cols), cols)
    down = row[None, :] - row[:, None] + rows - 1
    right = col[None, :] - col[:, None] + cols - 1
    bins = down * (2 * cols - 1) + right
    total = np.bincount(bins.ravel(), between.ravel(), minlength=(2 * rows - 1) * (2 * cols - 1))
    # Over all queries, not over those alone that have a neighbour there: a corner's single
    # query with a far offset is no diagonal.
    best = int(total.argmax())
    down_by, right_by = divmod(best, 2 * cols - 1)
    return float(total[best] / (rows * cols)), (down_by - rows + 1, right_by - cols + 1)
