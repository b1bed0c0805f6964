"""A line drawn around points: which of them lie inside, and how few corners say the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CORNERS = 24


def inside(points: NDArray[np.floating], polygon: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which points ``(n, 2)`` lie in a closed polygon ``(k, 2)``, by the even-odd rule: ``(n,)``.

    Where the line crosses itself, what it encloses twice is outside. A point on the line may fall
    on either side. Fewer than three corners enclose nothing.
    """
    x, y = np.asarray(points, np.float64).reshape(-1, 2).T
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    found = np.zeros(len(x), dtype=bool)
    if len(corners) < 3:
        return found
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        # Half open in y, so that a corner at the height of a point is counted once.
        spans = (y0 <= y) != (y1 <= y)
        # The side of the edge by a product, since a quotient overflows where it is nearly level.
        side = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        found ^= spans & ((side > 0) == (y1 > y0))
    return found


def simplified(polygon: NDArray[np.floating], corners: int = CORNERS) -> NDArray[np.float64]:
    """The polygon ``(k, 2)`` with at most ``corners`` corners, those of the original.

    The corner that spans the smallest triangle with its neighbours goes first (Visvalingam and
    Whyatt, The Cartographic Journal 30, 1993).
    """
    kept = [np.asarray(corner, np.float64) for corner in np.asarray(polygon).reshape(-1, 2)]

    def area(i: int) -> float:
        a, b, c = kept[i - 1], kept[i], kept[(i + 1) % len(kept)]
        return abs(float((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])))

    areas = [area(i) for i in range(len(kept))]
    while len(kept) > max(corners, 3):
        least = int(np.argmin(areas))
        del kept[least], areas[least]
        for i in ((least - 1) % len(kept), least % len(kept)):
            areas[i] = area(i)
    return np.array(kept, np.float64).reshape(-1, 2)
