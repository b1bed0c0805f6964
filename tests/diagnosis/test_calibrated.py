"""Calibration: the temperature and the share of plain errors that labels were drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from attnlib.diagnosis.calibrated import calibrated
from tests.diagnosis.known import NAMES

CLASSES = len(NAMES)


@pytest.mark.parametrize("error", [0.0, 0.25])
@pytest.mark.parametrize("sharper", [0.5, 2.0])
def test_the_law_that_labels_were_drawn_from_is_found(error: float, sharper: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (6000, CLASSES))
    truth = (1 - error) * softmax(logits, axis=1) + error / CLASSES
    labels = (truth.cumsum(axis=1) > rng.random((6000, 1))).argmax(axis=1)
    # The model is surer, or less sure, than it is right.
    found = calibrated(softmax(sharper * logits, axis=1), labels)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - truth).mean() < 0.006
    assert np.abs(found - truth).max() < 0.05


def test_labels_without_any_sense_leave_equal_probabilities() -> None:
    rng = np.random.default_rng(1)
    shares = softmax(rng.normal(0, 5, (4000, CLASSES)), axis=1)
    found = calibrated(shares, rng.integers(0, CLASSES, 4000))
    assert np.abs(found - 1 / CLASSES).mean() < 0.02
