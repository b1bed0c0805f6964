"""Which map to believe: against cumulative sums, SciPy's t and closed testing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from attnlib.errors import AttnlibError
from attnlib.evaluation.belief import Belief, believe, chance, holm, moved_map
from attnlib.methods import Heat
from tests.evaluation.test_faithfulness import (
    COLS,
    ROWS,
    SIDE,
    Array,
    N,
    heat,
    ones,
    stub,
    weights_of,
)


def run(weights: Array, *heats: Heat, **options: int) -> Belief:
    return believe(
        stub(weights),
        ones(),
        heats,
        0,
        replacement="zero",
        steps=options.pop("steps", None),
        **options,
    )


def gap(weights: Array, values: Array) -> float:
    """The area under insertion minus that under deletion, patch by patch."""
    falls = np.concatenate([[0], np.cumsum(weights[np.argsort(-values, kind="stable")])])
    down, up = 0.5 + falls[-1] - falls, 0.5 + falls
    return float(np.trapezoid(up, dx=1 / N) - np.trapezoid(down, dx=1 / N))


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**31))
def test_gaps_and_chances_are_those_of_sums_and_scipy(seed: int) -> None:
    weights, random = weights_of(seed), np.random.default_rng(seed)
    maps = {name: random.permutation(N).astype(np.float64) for name in "abc"}
    found = run(weights, *(heat(values, name) for name, values in maps.items()), seed=seed)
    assert [entry.gap for entry in found.tried] == sorted(
        (entry.gap for entry in found.tried), reverse=True
    )
    mean, spread = found.moved.mean(), found.moved.std(ddof=1)
    apart = stats.t(len(found.moved) - 1, mean, spread * np.sqrt(1 + 1 / len(found.moved)))
    for entry in found.tried:
        assert entry.gap == pytest.approx(gap(weights, maps[entry.method]))
        assert entry.p == pytest.approx(apart.sf(entry.gap))
    # Every moved map is one of the three, shifted and mirrored: its gap is one of these.
    possible = [
        gap(weights, np.roll(flipped, shift, (0, 1)).ravel())
        for values in maps.values()
        for flipped in (
            values.reshape(ROWS, COLS)[::down, ::right] for down in (1, -1) for right in (1, -1)
        )
        for shift in np.ndindex(ROWS, COLS)
    ]
    assert np.abs(found.moved[:, None] - possible).min(axis=1).max() < 1e-12


def test_what_stands_beside_is_measured_and_changes_nothing() -> None:
    weights, random = weights_of(3), np.random.default_rng(3)
    maps = [random.permutation(N).astype(np.float64) for _ in range(2)]
    middle = random.permutation(N).astype(np.float64)
    heats = [heat(values, name) for values, name in zip(maps, "ab", strict=True)]
    alone = run(weights, *heats)
    found = believe(
        stub(weights), ones(), heats, 0, beside=[heat(middle, "m")], replacement="zero", steps=None
    )
    assert found.tried == alone.tried
    np.testing.assert_array_equal(found.moved, alone.moved)
    (one,) = found.beside
    assert one.gap == pytest.approx(gap(weights, middle))
    assert one.p == pytest.approx(float(chance(np.array([one.gap]), found.moved)[0]))
    assert not one.believed and not alone.beside


def test_the_map_of_the_weights_is_believed_and_noise_is_not() -> None:
    weights = np.full((6, 8), -0.005)
    weights[2:4, 3:6] = 0.08
    random = np.random.default_rng(0)
    maps = {"noise": random.random((6, 8)), "truth": weights, "against": -weights}
    pixels = torch.ones(1, 3, 6 * SIDE, 8 * SIDE, dtype=torch.float64)

    def best(*names: str) -> str | None:
        heats = [Heat(maps[name].astype(np.float32), "", "", name) for name in names]
        vit = stub(weights.ravel(), weights.shape)
        found = believe(vit, pixels, heats, 0, replacement="zero")
        assert sum(entry.believed for entry in found.tried) == ("truth" in names)
        return None if found.best is None else found.best.method

    assert best("noise", "truth", "against") == "truth"
    assert best("noise", "against") is None


def test_maps_of_nothing_are_rarely_believed() -> None:
    """At 5 % for an image: of 40 images no more than chance gives in 99 of 100 cases."""
    believed = 0
    for seed in range(40):
        random = np.random.default_rng(seed)

        def smooth(random: np.random.Generator = random) -> Array:
            noise = random.standard_normal((ROWS, COLS))
            return np.asarray(ndimage.gaussian_filter(noise, 0.7))

        weights = smooth().ravel()
        weights *= 0.45 / np.abs(weights).sum()
        maps = [heat(smooth(), str(i)) for i in range(5)]
        believed += run(weights, *maps, seed=seed, steps=4).best is not None
    assert believed <= stats.binom(40, 0.05).ppf(0.99)


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=6))
def test_holm_is_closed_testing(chances: list[float]) -> None:
    """A map is believed if every set of maps that holds it is rejected by Bonferroni."""
    everyone = range(len(chances))
    sets = [s for size in everyone for s in combinations(everyone, size + 1)]
    expected = [
        all(min(chances[j] for j in s) <= 0.05 / len(s) for s in sets if i in s) for i in everyone
    ]
    levels, believed = holm(np.array(chances))
    assert believed.tolist() == expected
    assert sorted(levels) == pytest.approx([0.05 / (i + 1) for i in everyone][::-1])


def test_a_moved_map_is_never_where_it_was_and_keeps_its_values() -> None:
    values = np.arange(N, dtype=np.float32).reshape(ROWS, COLS)
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        moved = moved_map(values, random)
        assert sorted(moved.ravel()) == sorted(values.ravel())
        assert not np.array_equal(moved, values)
        seen.add(moved.tobytes())
    assert len(seen) > 40, "11 shifts, each with four reflections"


def test_where_moving_changes_nothing_nothing_is_believed() -> None:
    assert chance(np.array([0.3, 0.0]), np.full(8, 0.1)).tolist() == [1, 1]
    assert run(np.zeros(N), heat(np.arange(N), "a")).best is None


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(AttnlibError, match="at least one map"):
        run(np.zeros(N))
    with pytest.raises(AttnlibError, match="At least 2"):
        run(np.zeros(N), heat(np.zeros(N)), moved=1)
    with pytest.raises(AttnlibError, match="single patch"):
        believe(stub(np.zeros(N)), ones(), [Heat(np.ones((1, 1), np.float32), "", "", "a")], 0)
