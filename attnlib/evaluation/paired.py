"""Whether two ways to predict the same images differ by more than chance."""

from __future__ import annotations

from scipy import stats


def mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact test: how likely so uneven a split is where both ways are as good.

    Only images that change sides count; each is then gained or lost like the throw of a coin, so
    the two-sided binomial test of a half is exact for any number (Q. McNemar, Psychometrika 12,
    1947; exact form as in A. Agresti, Categorical Data Analysis, 10.1).

    Args:
        gained, lost: images that became right, and wrong.

    Returns:
        p, in (0, 1]; 1 where nothing changes sides.
    """
    if gained + lost == 0:
        return 1.0
    return float(stats.binomtest(gained, gained + lost, 0.5).pvalue)
