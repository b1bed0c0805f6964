"""Label noise: found where labels were changed, with the images, and silent where none were."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import average_precision_score

from attnlib.diagnosis import label_noise
from attnlib.diagnosis.label_noise import find
from tests.diagnosis.known import examined, sure


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def test_changed_labels_are_found_with_their_images() -> None:
    shares, labels = sure(300, seed=0)
    rng = np.random.default_rng(1)
    changed = (labels == 2) & (rng.random(300) < 0.4)
    noisy = np.where(changed, 5, labels)
    found = find(examined(shares, noisy), silent)
    assert [finding.classes for finding in found] == [(2, 5)]
    (finding,) = found
    rank = np.zeros(300)
    for place, name in enumerate(finding.images):
        rank[int(name)] = 300 - place
    # Against what was changed.
    assert average_precision_score(changed, rank) > 0.8
    assert finding.certainty.p_value is not None and finding.certainty.p_value < 0.01
    assert finding.certainty.tried == 8 * 7
    assert "“fox” are probably “cow”" in finding.sentence
    assert finding.mistakes <= changed.sum() + 3


def test_labels_as_the_probabilities_say_are_no_noise() -> None:
    sets = [examined(*sure(200, seed)) for seed in range(40)]
    assert sum(bool(find(one, silent)) for one in sets) <= 2


def test_a_model_surer_than_it_is_right_has_no_noisy_labels() -> None:
    for seed in range(10):
        shares, labels = sure(200, seed, spread=2.0)
        sharp = shares**3 / (shares**3).sum(axis=1, keepdims=True)
        assert not find(examined(sharp, labels), silent)


def test_doubts_that_are_too_small_between_like_classes_are_no_noise() -> None:
    """A model that takes two classes for each other, and does so twice as often as it says."""
    alarms = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        logits = rng.normal(0, 0.7, (500, 8))
        own = rng.integers(0, 8, 500)
        logits[np.arange(500), own] += 6
        logits[own == 2, 5] += 3.2
        shares = softmax(logits, axis=1)
        said = shares.copy()
        said[own == 2, 5] /= 2
        said /= said.sum(axis=1, keepdims=True)
        labels = (shares.cumsum(axis=1) > rng.random((500, 1))).argmax(axis=1)
        alarms += bool(find(examined(said, labels), silent))
    assert alarms <= 1


def test_what_another_preparation_explains_is_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    shares, labels = sure(300, seed=0)
    changed = (labels == 2) & (np.random.default_rng(1).random(300) < 0.4)
    one = examined(shares, np.where(changed, 5, labels))
    right = np.eye(8)[one.labels] * 0.92 + 0.01
    monkeypatch.setattr(label_noise.preprocessing, "rival", lambda given, progress: given.vit)
    # Before the model that prepares them otherwise these labels are as they should be,
    monkeypatch.setattr(label_noise, "ask", lambda vit, images, count: right)
    assert not find(one, silent)
    # or as wrong as before.
    monkeypatch.setattr(label_noise, "ask", lambda vit, images, count: shares)
    assert [finding.classes for finding in find(one, silent)] == [(2, 5)]


def test_both_directions_are_two_findings() -> None:
    shares, labels = sure(400, seed=3)
    rng = np.random.default_rng(3)
    swap = rng.random(400) < 0.35
    noisy = np.where(swap & (labels == 1), 4, np.where(swap & (labels == 4), 1, labels))
    found = find(examined(shares, noisy), silent)
    assert {finding.classes for finding in found} == {(1, 4), (4, 1)}
