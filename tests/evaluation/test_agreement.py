"""Rank correlation against SciPy, overlap of tops against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from attnlib.errors import AttnlibError
from attnlib.evaluation import agreement

Array = NDArray[np.float64]

# Few different values, so that ties are the rule.
tied = arrays(np.float64, (3, 3, 4), elements=st.integers(-2, 2).map(float))
free = arrays(np.float64, (3, 3, 4), elements=st.floats(-1e6, 1e6))


@settings(deadline=None, max_examples=150)
@given(st.one_of(tied, free))
def test_spearman_is_scipys(maps: Array) -> None:
    found = agreement.spearman(list(maps))
    for (i, a), (j, b) in itertools.product(enumerate(maps), repeat=2):
        if np.ptp(a) == 0 or np.ptp(b) == 0:
            assert math.isnan(found[i, j])
        else:
            expected = scipy.stats.spearmanr(a, b, axis=None).statistic
            assert found[i, j] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, 12, elements=st.floats(-50, 50), unique=True))
def test_spearman_knows_only_the_order(values: Array) -> None:
    ranks = scipy.stats.rankdata(values)
    found = agreement.spearman([values, ranks**3, -ranks])
    expected = np.array([[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def expected_overlap(a: Array, b: Array, count: int) -> float:
    """The mean over all ways of breaking ties: every order of the patches, one for each map."""

    def tops(values: Array) -> list[frozenset[int]]:
        # Sorting is stable, so each permutation breaks ties its own way.
        found = []
        for order in itertools.permutations(range(len(values))):
            chosen = sorted(order, key=lambda i: -values[i])[:count]
            found.append(frozenset(chosen))
        return found

    pairs = itertools.product(tops(a), tops(b))
    return float(np.mean([len(x & y) / count for x, y in pairs]))


@settings(deadline=None, max_examples=15)
@given(
    arrays(np.float64, (2, 4), elements=st.integers(0, 2).map(float)),
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
)
def test_overlap_is_the_expectation_over_ties(maps: Array, fraction: float) -> None:
    found = agreement.overlap(list(maps), fraction)
    for i, j in itertools.product(range(2), repeat=2):
        expected = expected_overlap(maps[i], maps[j], int(4 * fraction))
        assert found[i, j] == pytest.approx(expected, abs=1e-12)


def test_overlap_of_clear_tops() -> None:
    first = np.arange(20.0).reshape(4, 5)
    second = first.copy()
    second[3, 4] = -1  # the highest of four falls out, the fifth moves up
    found = agreement.overlap([first, second, -first], 0.2)
    np.testing.assert_allclose(found, [[1, 0.75, 0], [0.75, 1, 0], [0, 0, 1]])


def test_overlap_of_a_constant_map_is_chance() -> None:
    maps = [np.zeros(50), np.arange(50.0)]
    found = agreement.overlap(maps, 0.1)
    np.testing.assert_allclose(found, [[0.1, 0.1], [0.1, 1.0]])
    assert agreement.overlap([np.arange(100)] * 2, 0.07)[0, 1] == 1


def test_messages() -> None:
    with pytest.raises(AttnlibError, match=r"one shape; these have: \(2, 2\), \(4,\)"):
        agreement.spearman([np.zeros((2, 2)), np.zeros(4)])
    with pytest.raises(AttnlibError, match="these have: none"):
        agreement.overlap([])
    with pytest.raises(AttnlibError, match="not finite"):
        agreement.overlap([np.array([1, np.nan])])
    for fraction in (0.0, 1.1, math.nan):
        with pytest.raises(AttnlibError, match=r"must be in \(0, 1\]"):
            agreement.overlap([np.zeros(4)], fraction)
