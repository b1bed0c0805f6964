"""The numbers behind the states of heads, against whole matrices; which state counts where."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import attnlib
from attnlib.heads import states as module
from attnlib.heads.states import Habit, habit, median, states


@pytest.mark.parametrize("queries", [512, 20])
def test_habits_are_those_of_the_whole_matrices(
    vit: attnlib.Vit,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
    queries: int,
) -> None:
    monkeypatch.setattr(module, "QUERIES", queries)
    found = habit(vit.subject(pictures[0]))
    step = 1 if queries == 512 else 4
    for layer in range(6):
        rows = vit.attention(pictures[0], layer).astype(np.float64)[:, ::step]
        expected = np.corrcoef(rows.reshape(4, -1))
        np.testing.assert_allclose(found.similarity[layer], expected, atol=1e-5)
        np.testing.assert_allclose(found.twin[layer], (expected - 3 * np.eye(4)).max(-1), atol=1e-5)
        np.testing.assert_allclose(found.peak[layer], rows.max(-1).mean(-1), atol=1e-5)
        entropy = stats.entropy(rows, axis=-1).mean(-1)
        np.testing.assert_allclose(found.reach[layer], np.exp(entropy) / 65, atol=1e-5)
        # Mutual information, from the joint distribution of query and key.
        joint = rows / rows.sum(axis=(1, 2), keepdims=True)
        apart = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
        information = (joint * np.log(joint / apart)).sum(axis=(1, 2))
        np.testing.assert_allclose(found.information[layer], information, atol=1e-5)
        count = int(0.9 * (rows.shape[1] - 1)) + 1
        ninth = np.sort(rows, axis=1)[:, ::-1][:, count - 1].max(-1)
        assert (np.abs(found.sink[layer] - ninth) < 0.02).all()
        at_least = (rows >= found.sink[layer][:, None, None] - 1e-6).mean(axis=1).max(-1)
        assert (at_least >= 0.9 - 1 / rows.shape[1]).all(), "nine of ten queries give as much"


def made(**values: list[float]) -> Habit:
    """One layer of healthy heads but for some numbers."""
    heads = len(next(iter(values.values())))
    healthy = {"peak": 0.1, "information": 0.5, "reach": 0.5, "sink": 0.05}
    numbers = {name: np.full((1, heads), value) for name, value in healthy.items()}
    numbers |= {name: np.array([value]) for name, value in values.items() if name != "twins"}
    twin = np.zeros((1, heads, heads))
    for one, value in enumerate(values.get("twins", [])):
        twin[0, one, one - 1] = twin[0, one - 1, one] = value
    return Habit(twin + np.eye(heads), **numbers)


def heads(found: Habit, noises: Habit | None = None) -> dict[str, list[int]]:
    listed = states(found, noises or found)
    return {state: np.flatnonzero(one[0]).tolist() for state, one in listed.items() if one.any()}


def test_a_head_counts_for_what_explains_most() -> None:
    assert heads(made(peak=[0.2, 0.3])) == {}
    assert heads(made(peak=[0.9, 0.3])) == {"one-hot": [0]}
    assert heads(made(reach=[0.5, 0.99])) == {"uniform": [1]}
    assert heads(made(reach=[0.8, 0.9], information=[0.0, 0.01])) == {"uniform": [0]}
    assert heads(made(sink=[0.9, 0.1], peak=[0.9, 0.1])) == {"sink": [0]}
    assert heads(made(sink=[0.9, 0, 0], peak=[0.9, 0.9, 0.9])) == {"one-hot": [0, 1, 2]}
    assert heads(made(sink=[0.9, 0.9, 0], peak=[0.9, 0.9, 0.9])) == {"sink": [0, 1], "one-hot": [2]}
    assert heads(made(twins=[0, 0.99, 0])) == {"alike": [0, 1]}
    assert heads(made(twins=[0, 0.99, 0], reach=[1.0, 1.0, 0.5])) == {"uniform": [0, 1]}
    assert heads(made(twins=[0, 0.99], sink=[0.9, 0.9])) == {"sink": [0, 1]}
    assert heads(made(peak=[0.9])) == {"one-hot": [0]}, "a head is no twin of itself"


def test_images_and_noise_both_must_show_it() -> None:
    assert heads(made(peak=[0.9]), made(peak=[0.2])) == {}
    assert heads(made(peak=[0.2]), made(peak=[0.9])) == {}


def test_the_median_is_over_images() -> None:
    three = [made(peak=[value]) for value in (0.1, 0.7, 0.3)]
    assert median(three).peak[0, 0] == 0.3
