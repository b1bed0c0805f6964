"""Tails of chance against closed forms and counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from attnlib.diagnosis import chance
from attnlib.diagnosis.calibrated import calibrated
from tests.diagnosis.known import sure


def test_equal_events_are_binomial() -> None:
    for count in range(13):
        expected = float(stats.binom.sf(count - 1, 12, 0.3))
        assert chance.at_least(count, np.full(12, 0.3)) == pytest.approx(expected, abs=1e-12)


def test_the_chance_of_a_sum_of_equal_numbers_is_binomial() -> None:
    shares = np.full(40, 0.1)
    for count in (8, 12, 16):
        exact = float(stats.binom.sf(count - 1, 40, 0.1))
        found = chance.sum_at_least(float(count), np.ones(40), np.zeros(40), shares)
        assert exact <= found < 1.2 * exact


def test_the_chance_of_a_sum_of_different_numbers_is_what_counting_finds() -> None:
    rng = np.random.default_rng(0)
    gains, losses, shares = rng.uniform(0.5, 2, 30), rng.uniform(-1, 0, 30), rng.uniform(0, 0.3, 30)
    draws = rng.random((200_000, 30)) < shares
    sums = np.where(draws, gains, losses).sum(axis=1)
    for total in np.quantile(sums, (0.9, 0.99, 0.999)):
        exact = (sums >= total).mean()
        assert chance.sum_at_least(float(total), gains, losses, shares) == pytest.approx(
            exact, rel=0.25
        )


def test_a_sum_that_is_always_reached_is_no_surprise() -> None:
    assert chance.sum_at_least(-1.0, np.ones(40), np.zeros(40), np.full(40, 0.1)) == 1.0


def test_calibration_finds_the_temperature() -> None:
    shares, labels = sure(4000, seed=0)
    sharp = shares**2 / (shares**2).sum(axis=1, keepdims=True)
    found = calibrated(sharp, labels)
    assert np.abs(found - shares).mean() < 0.01
    assert np.abs(sharp - shares).mean() > 0.02
    assert found.sum(axis=1) == pytest.approx(np.ones(4000))
