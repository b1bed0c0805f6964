"""How the time of a call grows with its input: for what nobody may make quadratic."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TIMES = 4
# Four times the input takes 4 times as long if time is linear, and 16 if it is quadratic.
MOST = 9.0


def growth(make: Callable[[int], T], call: Callable[[T], object], size: int) -> float:
    """Processor time of the call on four times the size over that on the size; best of three."""
    return _best(call, make(TIMES * size)) / max(_best(call, make(size)), 1e-3)


def _best(call: Callable[[T], object], value: T) -> float:
    taken = []
    for _ in range(3):
        start = time.process_time()
        call(value)
        taken.append(time.process_time() - start)
    return min(taken)
