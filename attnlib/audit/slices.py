"""Groups of images with a high error rate, found on one half of a set and tested on the other.

Whoever looks at many groups finds one with many mistakes by chance. So half of the images say
which groups are worth a look, the other half whether they hold (Fisher's exact test, with the
false discovery rate of Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995, over those tested).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attnlib.audit.numbers import wilson

# Fewer images in a half tell nothing.
FEWEST = 5
# As many groups, the worst of the first half, are tested on the second.
TESTED = 50
LEVEL = 0.05
# A property that is a number is cut at these quantiles: below the first two, above the others.
CUTS = (0.1, 0.25, 0.75, 0.9)


Key = tuple[str, str]


@dataclass(frozen=True)
class Tally:
    """How many images of a group there are in each half, and how many of them are wrong."""

    first: int
    first_wrong: int
    second: int
    second_wrong: int


@dataclass(frozen=True)
class Slice:
    """A group of images.

    Attributes:
        by: what it is a group of, such as "label".
        value: which, such as "frog", or "at most 31".
        images, wrong: of the half that it was tested on.
        interval: of its error rate there, Wilson's 95 %.
        rest: the error rate of all other images there.
        p_value: Fisher's, one-sided, on that half.
        q_value: false discovery rate at which it is announced.
        tried: how many groups were looked at in the first half.
    """

    by: str
    value: str
    images: int
    wrong: int
    interval: tuple[float, float]
    rest: float
    p_value: float
    q_value: float
    tried: int

    @property
    def rate(self) -> float:
        """Its error rate on the half that it was tested on."""
        return self.wrong / self.images

    @property
    def sentence(self) -> str:
        """In words."""
        low, high = self.interval
        return (
            f"{self.by} {self.value}: {self.wrong} of {self.images} held-out images are wrong "
            f"({self.rate:.0%}, 95 %: {low:.0%} to {high:.0%}; all others {self.rest:.0%})."
        )


def slices(tallies: Mapping[Key, Tally], every: Tally) -> list[Slice]:
    """The groups that fail, the surest first.

    Args:
        tallies: of groups, by (what, which).
        every: of all images together.
    """
    tried = {key: one for key, one in tallies.items() if one.first >= FEWEST}
    hopeful = sorted(
        (p, key)
        for key, one in tried.items()
        if (p := _p(one.first, one.first_wrong, every.first, every.first_wrong)) < LEVEL
    )[:TESTED]
    tested = [(key, tallies[key]) for _, key in hopeful if tallies[key].second >= FEWEST]
    if not tested:
        return []
    chances = [
        _p(one.second, one.second_wrong, every.second, every.second_wrong) for _, one in tested
    ]
    result = []
    for (key, one), p, q in zip(
        tested, chances, stats.false_discovery_control(chances), strict=True
    ):
        if q > LEVEL:
            continue
        others = every.second - one.second
        result.append(
            Slice(
                *key,
                images=one.second,
                wrong=one.second_wrong,
                interval=wilson(one.second_wrong, one.second),
                rest=(every.second_wrong - one.second_wrong) / others if others else 0.0,
                p_value=p,
                q_value=float(q),
                tried=len(tried),
            )
        )
    return sorted(result, key=lambda one: one.p_value)


def _p(images: int, wrong: int, total: int, mistakes: int) -> float:
    """Fisher's exact test, one-sided: whether more of a group are wrong than of the others.

    That is the upper tail of the hypergeometric distribution.
    """
    return float(stats.hypergeom.sf(wrong - 1, total, mistakes, images))


def tally(mask: NDArray[np.bool_], wrong: NDArray[np.bool_], first: NDArray[np.bool_]) -> Tally:
    """Of a group of images, some of them wrong, some in the first half: masks ``(n,)``."""
    inside = mask & first, mask & ~first
    numbers = [int(n) for one in inside for n in (one.sum(), (one & wrong).sum())]
    return Tally(*numbers)
