"""Regions of a patch grid: windows, rings, strips, and the same elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]  # (rows, cols)


@dataclass(frozen=True)
class Box:
    """A rectangle of patches."""

    top: int
    left: int
    height: int
    width: int

    @property
    def area(self) -> int:
        """How many patches it has."""
        return self.height * self.width

    def mask(self, grid: tuple[int, int]) -> Mask:
        """``(rows, cols)``."""
        made = np.zeros(grid, dtype=bool)
        made[self.top : self.top + self.height, self.left : self.left + self.width] = True
        return made

    def windows(self, smallest: int) -> list[Box]:
        """Boxes of half its sides within it, half a box apart; none if it is as small as may be."""
        height, width = (max(smallest, math.ceil(s / 2)) for s in (self.height, self.width))
        height, width = min(height, self.height), min(width, self.width)
        if (height, width) == (self.height, self.width):
            return []
        return [
            Box(self.top + top, self.left + left, height, width)
            for top in _starts(self.height, height)
            for left in _starts(self.width, width)
        ]


def _starts(side: int, part: int) -> list[int]:
    """Where parts of a side start, half a part apart, the last one at the end."""
    return sorted({*range(0, side - part, max(1, part // 2)), side - part})


def smallest(grid: tuple[int, int]) -> int:
    """The side of the smallest window: a mark off the grid reaches into two patches."""
    return 2 if min(grid) >= 6 else 1


def ring(grid: tuple[int, int], width: int) -> Mask:
    """The border of the image."""
    made = np.ones(grid, dtype=bool)
    made[width : grid[0] - width, width : grid[1] - width] = False
    return made


def large(grid: tuple[int, int]) -> list[tuple[str, Mask]]:
    """Regions that no small window shows: a frame, and strips along each side and corner."""
    found: list[tuple[str, Mask]] = []
    rows, cols = grid
    narrow = max(1, min(grid) // 8)
    for width in (narrow, 2 * narrow):
        boxes = {
            "strip along the top": Box(0, 0, width, cols),
            "strip along the bottom": Box(rows - width, 0, width, cols),
            "strip along the left": Box(0, 0, rows, width),
            "strip along the right": Box(0, cols - width, rows, width),
        }
        if 4 * width <= min(grid):
            found += [(name, box.mask(grid)) for name, box in boxes.items()]
            found.append(("frame around the image", ring(grid, width)))
    return found


def elsewhere(mask: Mask, rng: np.random.Generator, count: int) -> list[Mask]:
    """The same region at random other places; scattered patches where it fills too much."""
    rows, cols = mask.shape
    ys, xs = np.nonzero(mask)
    height, width = int(np.ptp(ys)) + 1, int(np.ptp(xs)) + 1
    places = [(y, x) for y in range(rows - height + 1) for x in range(cols - width + 1)]
    cut = mask[ys.min() : ys.min() + height, xs.min() : xs.min() + width]
    found: list[Mask] = []
    for y, x in (places[i] for i in rng.permutation(len(places))):
        made = np.zeros_like(mask)
        made[y : y + height, x : x + width] = cut
        if not (made & mask).any():
            found.append(made)
        if len(found) == count:
            return found
    free = np.flatnonzero(~mask)
    while len(found) < count:
        made = np.zeros(mask.size, dtype=bool)
        many = min(int(mask.sum()), len(free))
        made[rng.permutation(free)[:many]] = True
        found.append(made.reshape(mask.shape))
    return found


def where(mask: Mask) -> str:
    """A region's place in words."""
    rows, cols = mask.shape
    ys, xs = np.nonzero(mask)
    if mask.all():
        return "in the whole image"
    if not mask[rows // 2, cols // 2] and mask[0].mean() > 0.8 and mask[-1].mean() > 0.8:
        return "around the border"
    down = _third((ys.mean() + 0.5) / rows, "upper", "lower")
    across = _third((xs.mean() + 0.5) / cols, "left", "right")
    if not down and not across:
        return "in the middle"
    return f"at the {' '.join(filter(None, (down, across)))}" + ("" if across else " edge")


def _third(share: float, low: str, high: str) -> str:
    return low if share < 0.36 else high if share > 0.64 else ""
