"""How likely chance alone makes as much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]


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
    """An upper bound of the chance that a sum of independent numbers of two values is as large.

    Chernoff's bound, ``min over t of E[exp(t (S - total))]``: never too small.

    Args:
        gains, losses: ``(n,)`` the two values of each number.
        shares: ``(n,)`` the probability of the first.
    """
    if not len(shares) or total <= float((shares * gains + (1 - shares) * losses).sum()):
        return 1.0

    def exponent(t: float) -> float:
        parts = np.logaddexp(np.log(shares) + t * gains, np.log1p(-shares) + t * losses)
        return float(parts.sum() - t * total)

    found = optimize.minimize_scalar(exponent, bounds=(0.0, 20.0), method="bounded")
    return float(min(1.0, np.exp(found.fun)))


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
