"""Groups of images with a high error rate, found on one half of a set and tested on the other.

Whoever looks at many groups finds one with many mistakes by chance. So half of the images say
which groups are worth a look, the other half whether they hold (Fisher's exact test, with the
false discovery rate of Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995, over those tested).
A group of two properties counts only where more of it fails than of either alone: its p is the
largest of the three, which is a valid p of "not worse than one of them" (R. L. Berger, 1982).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import gammaln

from attnlib.audit.numbers import wilson
from attnlib.audit.where import Group, words

Counts = NDArray[np.int64]

# Fewer images in a half tell nothing.
FEWEST = 5
# As many groups, the worst of the first half, are tested on the second.
TESTED = 50
LEVEL = 0.05


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
        group: which.
        images, wrong: of the half that it was tested on.
        interval: of its error rate there, Wilson's 95 %.
        rest: the error rate of all other images there.
        p_value: Fisher's, one-sided, on that half.
        q_value: false discovery rate at which it is announced.
        tried: how many groups were looked at in the first half.
    """

    group: Group
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
        return f"{words(self.group)}: {self.numbers}"

    @property
    def numbers(self) -> str:
        """In words, without its name."""
        low, high = self.interval
        return (
            f"{self.wrong} of {self.images} held-out images are wrong "
            f"({self.rate:.0%}, 95 %: {low:.0%} to {high:.0%}; all others {self.rest:.0%})."
        )


def slices(tallies: Mapping[Group, Tally], every: Tally) -> list[Slice]:
    """The groups that fail, the surest first.

    Args:
        tallies: of groups; one of two properties is looked at where each of them is there too.
        every: of all images together.
    """
    tried = [
        group
        for group, one in tallies.items()
        if one.first >= FEWEST and all((key,) in tallies for key in group if len(group) > 1)
    ]
    if not tried:
        return []
    # Who is tested may be chosen in any way: the exact test is for those that come near.
    chances = _chances(tried, tallies, every, _roughly, second=False)
    near = [tried[i] for i in np.argsort(chances, kind="stable")[: 10 * TESTED]]
    chances = _chances(near, tallies, every, _exactly, second=False)
    order = sorted(np.flatnonzero(chances < LEVEL), key=lambda i: (chances[i], near[i]))[:TESTED]
    tested = [near[i] for i in order if tallies[near[i]].second >= FEWEST]
    if not tested:
        return []
    chances = _chances(tested, tallies, every, _exactly, second=True)
    result = []
    for group, p, q in zip(tested, chances, stats.false_discovery_control(chances), strict=True):
        if q > LEVEL:
            continue
        one = tallies[group]
        others = every.second - one.second
        result.append(
            Slice(
                group,
                images=one.second,
                wrong=one.second_wrong,
                interval=wilson(one.second_wrong, one.second),
                rest=(every.second_wrong - one.second_wrong) / others if others else 0.0,
                p_value=float(p),
                q_value=float(q),
                tried=len(tried),
            )
        )
    return sorted(result, key=lambda one: one.p_value)


def _chances(
    groups: Sequence[Group],
    tallies: Mapping[Group, Tally],
    every: Tally,
    test: Callable[[Counts, Counts], NDArray[np.float64]],
    *,
    second: bool,
) -> NDArray[np.float64]:
    """p of each group on one half, ``(n,)``: against all others, and in each that holds it."""
    place = 2 if second else 0
    single = np.array([len(group) == 1 for group in groups])
    inside = np.array([astuple(tallies[group])[place : place + 2] for group in groups])
    found = test(inside, np.array(astuple(every)[place : place + 2])[None])
    for part in range(2):
        pairs = [group for group in groups if len(group) > 1]
        if pairs:
            holding = [astuple(tallies[(group[part],)])[place : place + 2] for group in pairs]
            found[~single] = np.maximum(found[~single], test(inside[~single], np.array(holding)))
    return found


def _exactly(inside: Counts, whole: Counts) -> NDArray[np.float64]:
    """Fisher's exact test, one-sided: whether more of a group are wrong than of the others.

    That is the upper tail of the hypergeometric distribution.

    Args:
        inside, whole: ``(n, 2)`` images and mistakes, of the group and of what holds it.
    """
    pairs = zip(*np.broadcast_arrays(inside, whole), strict=True)
    return np.array([tail(*map(int, (*one, *all_))) for one, all_ in pairs])


def tail(images: int, wrong: int, total: int, mistakes: int) -> float:
    """P(at least so many wrong), of so many images drawn out of all; exact to about 1e-8.

    SciPy's sums the whole tail, of a million images for a second.
    """
    mean = images * mistakes / total
    # Beyond, nothing is left that a float could add.
    last = int(max(wrong, mean) + 40 * np.sqrt(mean + 1) + 50)
    k = np.arange(max(wrong, images + mistakes - total, 0), min(images, mistakes, last) + 1)
    logs = _chosen(mistakes, k) + _chosen(total - mistakes, images - k) - _chosen(total, images)
    return min(1.0, float(np.exp(logs).sum()))


def _chosen(n: int, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Logarithm of the number of ways to choose k of n."""
    return np.asarray(gammaln(n + 1) - gammaln(np.add(k, 1)) - gammaln(n - np.asarray(k) + 1))


def _roughly(inside: Counts, whole: Counts) -> NDArray[np.float64]:
    """About the same, by the normal distribution with the same mean and variance."""
    images, wrong = inside.T
    total, mistakes = whole.T.astype(float)
    share = mistakes / total
    variance = images * share * (1 - share) * (total - images) / np.maximum(total - 1, 1)
    surplus = wrong - 0.5 - images * share
    return np.asarray(stats.norm.sf(surplus / np.sqrt(np.maximum(variance, 1e-12))))


def tally(mask: NDArray[np.bool_], wrong: NDArray[np.bool_], first: NDArray[np.bool_]) -> Tally:
    """Of a group of images, some of them wrong, some in the first half: masks ``(n,)``."""
    inside = mask & first, mask & ~first
    numbers = [int(n) for one in inside for n in (one.sum(), (one & wrong).sum())]
    return Tally(*numbers)
