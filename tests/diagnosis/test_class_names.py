"""Class names at the wrong outputs: the exact names, and nothing where they are right."""

from __future__ import annotations

import numpy as np
import pytest

from attnlib.diagnosis.class_names import amend, find
from attnlib.diagnosis.label_noise import find as find_noise
from tests.diagnosis.known import NAMES, examined, sure, tiny
from tests.diagnosis.test_label_noise import silent

SWAP = [0, 3, 2, 1, 4, 5, 6, 7]
SHIFT = [1, 2, 3, 4, 5, 6, 7, 0]
CYCLE = [0, 1, 4, 3, 6, 5, 2, 7]


@pytest.mark.parametrize("order", [SWAP, SHIFT, CYCLE])
@pytest.mark.parametrize("count", [60, 200])
def test_the_exact_names_are_found(order: list[int], count: int) -> None:
    shares, truth = sure(count, seed=count)
    shown = [NAMES[i] for i in order]  # output k is NAMES[k], and bears the name shown[k]
    labels = np.array([shown.index(NAMES[i]) for i in truth])
    model = tiny().named(shown)
    one = examined(shares, labels, model)
    (finding,) = find(one, silent)
    wrong = {shown[k]: NAMES[k] for k in range(8) if shown[k] != NAMES[k]}
    assert finding.detail["mapping"] == wrong
    assert finding.detail["class_names"] == list(NAMES)
    assert set(finding.classes) == {k for k in range(8) if shown[k] != NAMES[k]}
    # Put right, the labels are the outputs that they were drawn from, and are no noise.
    right = amend(one, [finding])
    assert (right.labels == truth).all()
    assert right.vit.class_names == NAMES
    assert not find_noise(right, silent)
    assert not find(right, silent)


def test_names_that_are_right_stay() -> None:
    assert not any(find(examined(*sure(100, seed)), silent) for seed in range(20))


def test_a_class_that_the_model_hardly_knows_is_exchanged_with_the_others() -> None:
    """Three names in a ring in a small set; of one class most images go astray."""
    shares, truth = sure(60, seed=4)
    astray = truth == 2
    shares[astray] = np.roll(shares[astray], 3, axis=1)
    shares[np.flatnonzero(astray)[:2]] = np.eye(8)[2] * 0.86 + 0.02
    shown = [NAMES[i] for i in CYCLE]
    labels = np.array([shown.index(NAMES[i]) for i in truth])
    (finding,) = find(examined(shares, labels, tiny().named(shown)), silent)
    assert finding.detail["class_names"] == list(NAMES)


def test_the_chance_is_that_of_the_likelihood_ratio() -> None:
    """Sharp answers, one swap: each image of it is e/8 likely as a plain error, else nearly 1."""
    labels = np.arange(240) % 8
    at = np.array(SWAP)[labels]
    shares = np.full((240, 8), 1e-12)
    shares[np.arange(240), at] = 1
    (finding,) = find(examined(shares, labels), silent)
    # The best share of plain errors makes a quarter of the labels another's: e · 7/8 = 1/4.
    error = 2 / 7
    ratio = 60 * np.log(error / 8) + 180 * np.log(1 - error * 7 / 8)
    sure_ones = 240 * np.log(1 - 0.002 * 7 / 8)
    p = 28 * np.exp(ratio - sure_ones)
    assert finding.certainty.tried == 28
    assert finding.certainty.p_value == pytest.approx(p, rel=0.05)


def test_noise_between_two_classes_is_no_exchange_of_names() -> None:
    shares, labels = sure(300, seed=2)
    swap = np.random.default_rng(0).random(300) < 0.3
    noisy = np.where(swap & (labels == 1), 4, np.where(swap & (labels == 4), 1, labels))
    assert not find(examined(shares, noisy), silent)


def test_a_model_that_knows_nothing_has_no_names_to_exchange() -> None:
    rng = np.random.default_rng(0)
    shares, _ = sure(200, seed=1)
    for _ in range(10):
        assert not find(examined(shares, rng.integers(0, 8, 200)), silent)
