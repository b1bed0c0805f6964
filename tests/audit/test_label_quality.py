"""Scores of labels, against Cleanlab's own numbers, plain definitions and scikit-learn.

Cleanlab 2.9.0 was run on `drawn()` in an environment of its own:
`get_label_quality_scores(..., method=...)`, `compute_confident_joint(..., calibrate=False)`
and `num_label_issues(..., estimation_method="off_diagonal")`; its numbers stand in CLEANLAB.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attnlib.audit import label_quality
from attnlib.errors import AttnlibError

# The first six scores, then the sum of all sixty.
CLEANLAB: dict[str, list[float]] = {
    "self_confidence": [0.559, 0.176, 0.522, 0.401, 0.211, 0.356, 24.923963],
    "normalized_margin": [0.6625, 0.3975, 0.556, 0.5025, 0.431, 0.363, 30.797743],
    "weighted_entropy": [0.644074, 0.355432, 0.652579, 0.554098, 0.378633, 0.616085, 30.567776],
}
JOINT = [[7, 0, 1, 0], [1, 9, 1, 0], [1, 0, 12, 0], [0, 0, 0, 1]]
ISSUES = 3
SCORES: dict[str, Callable[..., Any]] = {
    name: getattr(label_quality, name) for name in CLEANLAB
}  # fmt: skip


def drawn() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Labels (60,) of which none is the last class, and probabilities (60, 4)."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(4, 0.4), 60).round(3)
    shares[:, -1] = np.round(1 - shares[:, :-1].sum(1), 3)
    shares = np.clip(shares, 0, 1)
    shares = shares / shares.sum(1, keepdims=True)
    likeliest = np.minimum(shares.argmax(1), 2)
    return np.where(rng.random(60) < 0.25, rng.integers(0, 3, 60), likeliest), shares


@pytest.mark.parametrize("name", CLEANLAB)
def test_scores_are_cleanlabs(name: str) -> None:
    found = SCORES[name](*drawn())
    np.testing.assert_allclose([*found[:6], found.sum()], CLEANLAB[name], atol=2e-6)


def test_joint_and_issues_are_cleanlabs() -> None:
    assert label_quality.confident_joint(*drawn()).tolist() == JOINT
    assert label_quality.issues(*drawn()).sum() == ISSUES


def test_scores_are_their_definitions() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, shares = drawn()
    loss = -np.log(np.maximum(label_quality.self_confidence(labels, shares), 1e-300))
    kept = loss < 100
    expected = metrics.log_loss(labels[kept], shares[kept], labels=range(4))
    assert loss[kept].mean() == pytest.approx(expected)
    for i, (label, row) in enumerate(zip(labels.tolist(), shares.tolist(), strict=True)):
        others = max(p for j, p in enumerate(row) if j != label)
        assert label_quality.normalized_margin(labels, shares)[i] == pytest.approx(
            (row[label] - others + 1) / 2
        )
        entropy = -sum(p * math.log(p) for p in row if p) / math.log(4)
        w = entropy / max(row[label], 1e-6)
        assert label_quality.weighted_entropy(labels, shares)[i] == pytest.approx(
            math.log(1 + w) / w if w > 1e-6 else 1.0, rel=1e-4
        )


def test_the_joint_is_its_definition() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet(np.ones(4) * 2, 400)
    labels = rng.integers(0, 4, 400)
    least = [np.mean([p[c] for p, y in zip(shares, labels, strict=True) if y == c])
             for c in range(4)]  # fmt: skip
    joint, several = np.zeros((4, 4), int), 0
    for label, row in zip(labels, shares, strict=True):
        sure = [c for c in range(4) if row[c] >= least[c] - 1e-6]
        several += len(sure) == 2
        if sure:
            joint[label, max(sure, key=lambda c: row[c]) if len(sure) > 1 else sure[0]] += 1
    assert several > 50
    assert label_quality.confident_joint(labels, shares).tolist() == joint.tolist()


def test_the_margin_comes_out_of_the_columns_that_every_audit_has() -> None:
    labels, shares = drawn()
    ordered = np.sort(shares, axis=1)
    found = label_quality.margin_of_parts(
        shares[np.arange(60), labels],
        ordered[:, -1],
        ordered[:, -1] - ordered[:, -2],
        shares.argmax(1) != labels,
    )
    np.testing.assert_allclose(found, label_quality.normalized_margin(labels, shares), atol=1e-12)


def test_wrong_labels_have_low_scores_and_are_counted() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(0, 5, 3000)
    shares = rng.dirichlet(np.ones(5), 3000) * 0.3
    shares[np.arange(3000), true] += 0.7
    swapped = rng.random(3000) < 0.1
    labels = np.where(swapped, (true + 1) % 5, true)
    found = label_quality.issues(labels, shares)
    assert found[swapped].mean() > 0.9 and found[~swapped].mean() < 0.01
    for score in SCORES.values():
        order = np.argsort(score(labels, shares))
        assert swapped[order[: swapped.sum()]].mean() > 0.9


@pytest.mark.parametrize(
    ("labels", "shares"),
    [
        ([0, 1], [[0.5, 0.5]]),
        ([0], [[1.0]]),
        ([2], [[0.5, 0.5]]),
        ([-1], [[0.5, 0.5]]),
        ([0], [[0.9, 0.9]]),
        ([0], [[math.nan, 1.0]]),
        ([0], [[-0.5, 1.5]]),
    ],
)
def test_what_are_no_probabilities_is_refused(labels: list[int], shares: list[list[float]]) -> None:
    with pytest.raises(AttnlibError):
        label_quality.issues(np.array(labels), np.array(shares))
