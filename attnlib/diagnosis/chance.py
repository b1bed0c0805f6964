"""How likely chance alone makes as much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
# Into so many steps the sum that is asked for is divided.
GRID = 4000


def corrected(p: float, tried: int) -> float:
    """Bonferroni's correction: the probability that any of several tries gives as much."""
    return min(1.0, p * tried)


def at_least(count: int, probabilities: Array) -> float:
    """That at least ``count`` of independent events happen (the Poisson binomial's upper tail).

    Args:
        probabilities: ``(n,)`` of each event.
    """
    made = np.ones(1)
    for share in probabilities:
        made = np.convolve(made, (1 - share, share))
    return float(min(1.0, max(0.0, made[count:].sum())))


def sum_at_least(total: float, gains: Array, losses: Array, shares: Array) -> float:
    """The chance that a sum of independent numbers of two values is as large.

    Counted through on a fine grid up to what it takes, each number rounded up: never too
    small.

    Args:
        gains, losses: ``(n,)`` the two values of each number; the first is the larger.
        shares: ``(n,)`` the probability of the first.
    """
    needed = total - float(losses.sum())
    if needed <= 0:
        return 1.0
    steps = np.minimum(np.ceil((gains - losses) / needed * GRID), GRID).astype(np.int64)
    made = np.zeros(GRID + 1)
    made[0] = 1.0
    for step, share in zip(steps, shares, strict=True):
        # What reaches the total stays there.
        moved = np.zeros_like(made)
        moved[step:] = made[: GRID + 1 - step]
        moved[GRID] += made[GRID + 1 - step :].sum()
        made = (1 - share) * made + share * moved
    return float(min(1.0, made[GRID]))


def rarer(k: int, n: int, other_k: int, other_n: int) -> float:
    """Fisher's exact test, one-sided: that ``k`` of ``n`` is no more than the other.

    1 where one of them is empty.
    """
    if not n or not other_n:
        return 1.0
    table = [[k, n - k], [other_k, other_n - other_k]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


def words(p: float) -> str:
    """A probability as text."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
