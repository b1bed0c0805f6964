"""Polygons to the pixels inside them, in time that does not grow with the picture for each one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import AttnlibError

# How often all outlines together may cross a row of pixels: 300 boxes of the height of the
# largest picture cross 4.8 million. Each takes about 0.1 microseconds and 50 bytes.
MAX_CROSSINGS: Final = 10_000_000
# Pixels that are drawn at a time.
_BAND: Final = 4_000_000


def union(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres lie in one of the polygons, ``(height, width)``.

    Exact and by the even-odd rule within each polygon, where Pillow's polygons round their corners
    and add the pixels on their edges. The time goes with the rows that outlines cross and, once,
    with the pixels of the picture.

    Args:
        polygons: each x1, y1, x2, y2, … in pixels.
        size: (width, height).

    Raises:
        AttnlibError: the outlines cross more than :data:`MAX_CROSSINGS` rows.
    """
    width, height = size
    mask = np.zeros((height, width), dtype=np.bool_)
    edges = _Edges(polygons, height)
    if edges.crossings > MAX_CROSSINGS:
        raise AttnlibError(
            f"The outlines of the objects cross {edges.crossings:,} rows of pixels, and the limit "
            f"is {MAX_CROSSINGS:,}: give fewer or simpler objects, or a mask as a PNG."
        )
    for low, high in _bands(height, width):
        rows, left, right = edges.spans(low, high, width)
        if not len(rows):
            continue
        # One pixel further than the last, so that a span that ends at the edge has an end.
        steps = np.bincount(rows * (width + 1) + left, minlength=(high - low) * (width + 1))
        steps -= np.bincount(rows * (width + 1) + right, minlength=len(steps))
        inside = np.cumsum(steps.reshape(high - low, width + 1), axis=1) > 0
        mask[low:high] = inside[:, :width]
    return mask


class _Edges:
    """All edges of some polygons, with the rows whose middles each of them crosses."""

    def __init__(self, polygons: Sequence[Sequence[float]], height: int) -> None:
        starts = [
            np.reshape(np.asarray(polygon, dtype=np.float64), (-1, 2)) for polygon in polygons
        ]
        empty = np.zeros((0, 2))
        self._start = np.concatenate([empty, *starts])
        self._end = np.concatenate([empty, *(np.roll(start, -1, axis=0) for start in starts)])
        self._owner = np.repeat(np.arange(len(starts)), [len(start) for start in starts])
        low = np.minimum(self._start[:, 1], self._end[:, 1])
        high = np.maximum(self._start[:, 1], self._end[:, 1])
        self._first = np.ceil(low - 0.5).clip(0, height).astype(np.int64)
        self._after = np.ceil(high - 0.5).clip(0, height).astype(np.int64)

    @property
    def crossings(self) -> int:
        return int((self._after - self._first).sum())

    def spans(
        self, low: int, high: int, width: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Row from ``low``, first column and column after the last, of each span inside."""
        first, after = self._first.clip(low, high), self._after.clip(low, high)
        count = after - first
        edge = np.repeat(np.arange(len(count)), count)
        before = np.repeat(np.cumsum(count) - count, count)
        row = first[edge] + np.arange(len(edge)) - before
        (ax, ay), (bx, by) = self._start[edge].T, self._end[edge].T
        column = np.ceil(ax + (row + 0.5 - ay) * (bx - ax) / (by - ay) - 0.5).clip(0, width)
        # In the order of polygons, their rows and the columns there: every other one is an end.
        key = (self._owner[edge] * (high - low) + row - low) * (width + 1) + column.astype(np.int64)
        key.sort()
        rows = key[0::2] // (width + 1) % (high - low)
        return rows, key[0::2] % (width + 1), key[1::2] % (width + 1)


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _BAND // (width + 1))
    for low in range(0, height, rows):
        yield low, min(low + rows, height)
