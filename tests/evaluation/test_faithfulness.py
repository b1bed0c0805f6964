"""Deletion and insertion in closed form, on a model that is linear in its patches."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

import attnlib
from attnlib.capture.support import Support
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import AttnlibError
from attnlib.evaluation.faithfulness import Draws, Faithfulness, descending, evaluate
from attnlib.evaluation.summary import Row, Summary
from attnlib.methods import Heat, perturbation
from attnlib.model.classes import ClassNames
from attnlib.model.preparation import Preparation

Array = NDArray[np.float64]
ROWS, COLS, SIDE = 3, 4, 4
N = ROWS * COLS


class Linear(nn.Module):
    """p(class 0) = base + Σ weight · mean of the patch; p(class 1) = 1 − p(class 0)."""

    def __init__(self, weights: Array) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(weights))

    def forward(self, pixels: Tensor) -> Tensor:
        patches = nn.functional.avg_pool2d(pixels[:, 0], SIDE).flatten(1)
        share = 0.5 + patches @ self.weights
        return torch.stack([share.log(), (1 - share).log()], dim=1)


def stub(weights: Array, grid: tuple[int, int] = (ROWS, COLS)) -> attnlib.Vit:
    layout = TokenLayout((), grid, (SIDE, SIDE), "none")
    nothing = Support((), (), (), frozenset())
    size = (grid[0] * SIDE, grid[1] * SIDE)
    black = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return attnlib.Vit(
        "linear",
        Linear(weights),
        layout,
        nothing,
        preparation=Preparation(size, *black, own=lambda image: torch.zeros(3, *size)),
        names=ClassNames(("yes", "no"), "the test"),
    )


def heat(values: Array, name: str = "map", target: int | None = None) -> Heat:
    return Heat(np.asarray(values).reshape(ROWS, COLS), "", "", name, target)


def ones() -> Tensor:
    """An image whose patches are all 1; with the replacement "zero" a patch is worth its weight."""
    return torch.ones(1, 3, ROWS * SIDE, COLS * SIDE, dtype=torch.float64)


def weights_of(seed: int) -> Array:
    """N weights with |Σ| < 0.45, so that probabilities stay probabilities."""
    weights = np.random.default_rng(seed).normal(size=N)
    return 0.45 * weights / np.abs(weights).sum()


def run(weights: Array, *heats: Heat, **options: object) -> Faithfulness:
    settings_ = {"replacement": "zero", "steps": None, **options}
    return evaluate(stub(weights), ones(), heats, (0, 1), **settings_)  # type: ignore[arg-type]


# -- one image ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.permutations(range(N)))
def test_curves_are_cumulative_sums(seed: int, order: list[int]) -> None:
    weights, values = weights_of(seed), np.zeros(N)
    values[order] = np.arange(N, 0, -1)
    result = run(weights, heat(values), draws=1)
    taken = np.concatenate([[0], np.cumsum(weights[order])])
    deletion, insertion = 0.5 + weights.sum() - taken, 0.5 + taken
    (entry,) = result.methods
    for curve, expected in ((entry.deletion, deletion), (entry.insertion, insertion)):
        np.testing.assert_allclose(curve.fractions, np.arange(N + 1) / N)
        np.testing.assert_allclose(curve.probabilities[:, 0], expected, atol=1e-12)
        np.testing.assert_allclose(curve.probabilities[:, 1], 1 - expected, atol=1e-12)
        area = (expected[0] / 2 + expected[1:-1].sum() + expected[-1] / 2) / N
        np.testing.assert_allclose(curve.auc, [area, 1 - area], atol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, N + 3))
def test_steps_are_points_of_the_whole_curve(seed: int, steps: int) -> None:
    weights, values = weights_of(seed), np.random.default_rng(seed).permutation(N)
    whole = run(weights, heat(values), draws=2)
    part = run(weights, heat(values), draws=2, steps=steps)
    for kind in ("deletion", "insertion"):
        coarse = getattr(part.methods[0], kind)
        fine = getattr(whole.methods[0], kind)
        assert len(coarse.fractions) == min(steps, N) + 1
        assert np.abs(np.diff(coarse.fractions) - 1 / min(steps, N)).max() < 1 / N
        for each, all_, where in (
            (coarse.probabilities, fine.probabilities, coarse.fractions),
            (
                getattr(part, f"random_{kind}").probabilities[1],
                getattr(whole, f"random_{kind}").probabilities[1],
                getattr(part, f"random_{kind}").fractions,
            ),
        ):
            at = np.rint(where * N).astype(int)
            np.testing.assert_allclose(where * N, at, atol=1e-9)
            np.testing.assert_allclose(each, all_[at], atol=1e-12)


def test_perfect_beats_random_beats_reversed() -> None:
    weights = weights_of(3)
    result = run(weights, heat(weights, "best"), heat(-weights, "worst"), draws=40)
    best, worst = result.methods
    for at, better in ((0, 1), (1, -1)):  # what speaks for class 0 speaks against class 1
        falls = better * np.array(
            [best.deletion.auc[at], *result.random_deletion.auc[:, at], worst.deletion.auc[at]]
        )
        rises = better * np.array(
            [best.insertion.auc[at], *result.random_insertion.auc[:, at], worst.insertion.auc[at]]
        )
        assert falls[0] < falls[1:-1].min() and falls[1:-1].max() < falls[-1]
        assert rises[0] > rises[1:-1].max() and rises[1:-1].min() > rises[-1]


def test_random_orders_have_the_mean_of_all_orders() -> None:
    weights = weights_of(4)
    result = run(weights, draws=400)
    # On average a random order takes out every patch equally early: a straight line.
    line = 0.5 + weights.sum() * (1 - np.arange(N + 1) / N)
    error = 6 * result.random_deletion.deviation[:, 0] / math.sqrt(400) + 1e-12
    assert (np.abs(result.random_deletion.mean.probabilities[:, 0] - line) <= error).all()
    assert (np.abs(result.random_insertion.mean.probabilities[:, 0] - line[::-1]) <= error).all()
    assert len({tuple(d) for d in result.random_deletion.probabilities[:, :, 0]}) > 390
    assert run(weights).random_deletion.probabilities.shape == (8, N + 1, 2)


def test_on_the_demo_model(vit: attnlib.Vit, pictures: list[Image.Image]) -> None:
    """No closed form: each point against a picture put together by hand, and the symmetries."""
    pixels = vit.pixels(pictures[0])
    values = np.random.default_rng(0).permutation(64).reshape(8, 8)
    forward = Heat(values, "", "", "forward", None)
    backward = Heat(-values, "", "", "backward", None)
    result = evaluate(vit, pixels, [forward, backward], [3, 5], steps=5, draws=3, batch_size=7)
    other = perturbation.reference(pixels, "blur")
    first, second = result.methods
    np.testing.assert_allclose(first.deletion.fractions, [0, 13 / 64, 26 / 64, 38 / 64, 51 / 64, 1])
    for fraction, found in zip(first.deletion.fractions, first.deletion.probabilities, strict=True):
        image = pixels.clone()
        for place in np.argsort(-values, axis=None)[: round(fraction * 64)]:
            i, j = divmod(int(place), 8)
            cell = (..., slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4))
            image[cell] = other[cell]
        with torch.no_grad():
            expected = vit.module(image).softmax(dim=1)[0, [3, 5]]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # Putting in from the lowest up passes through the pictures of taking out from the top.
    np.testing.assert_allclose(second.insertion.fractions, 1 - first.deletion.fractions[::-1])
    np.testing.assert_allclose(
        second.insertion.probabilities, first.deletion.probabilities[::-1], atol=1e-5
    )
    np.testing.assert_allclose(second.insertion.auc, first.deletion.auc, atol=1e-5)
    plain = vit.inspect(pictures[0]).probabilities[[3, 5]]
    replaced = vit.inspect_pixels(other)[0].probabilities[[3, 5]]
    for entry in (first, second):
        for curve, start, end in (
            (entry.deletion, plain, replaced),
            (entry.insertion, replaced, plain),
        ):
            np.testing.assert_allclose(curve.probabilities[0], start, atol=1e-5)
            np.testing.assert_allclose(curve.probabilities[-1], end, atol=1e-5)
    np.testing.assert_allclose(result.random_deletion.auc, result.random_insertion.auc)
    assert result.replacement == "blur" and result.classes == (3, 5)


def test_the_number_of_passes() -> None:
    seen: list[tuple[int, int]] = []
    run(
        weights_of(0),
        heat(np.arange(N), "a"),
        heat(np.ones(N), "b"),
        steps=6,
        draws=5,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert seen[-1] == (2 + 5 * (2 * 2 + 5),) * 2


def test_ties_are_broken_by_the_seed_and_not_by_position() -> None:
    weights = weights_of(1)
    constant = heat(np.zeros(N), "constant")
    alone = run(weights, constant, seed=1).methods[0].deletion.probabilities
    beside = run(weights, heat(weights, "other"), constant, seed=1)
    np.testing.assert_allclose(beside.methods[1].deletion.probabilities, alone, atol=1e-12)
    areas = [run(weights, constant, seed=s, draws=1).methods[0].deletion.auc[0] for s in range(200)]
    centre = 0.5 + weights.sum() / 2  # of all orders
    assert abs(np.mean(areas) - centre) < 5 * np.std(areas) / math.sqrt(200)
    by_position = run(weights, heat(-np.arange(N))).methods[0].deletion.auc[0]
    assert len(set(np.round(areas, 12))) > 190
    assert by_position not in areas


def test_every_image_has_its_own_random_orders() -> None:
    """Otherwise a uniform map would be one fixed map, better or worse than random for ever."""
    weights = weights_of(2)
    constant, found = heat(np.zeros(N)), set()
    for at in range(4):
        pixels = ones()
        pixels[0, 2, 0, at] = 9  # a channel that the model does not read
        result = evaluate(stub(weights), pixels, [constant], [0], replacement="zero")
        again = evaluate(stub(weights), pixels, [constant], [0], replacement="zero")
        np.testing.assert_array_equal(
            result.random_deletion.probabilities, again.random_deletion.probabilities
        )
        found.add((result.methods[0].deletion.auc[0], *result.random_deletion.auc[:, 0]))
    assert len({areas[0] for areas in found}) == 4 and len({areas[1] for areas in found}) == 4


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.integers(0, 2**31))
def test_descending(values: list[int], seed: int) -> None:
    key = np.random.default_rng(seed).permutation(len(values))
    order = descending(values, key)
    expected = sorted(range(len(values)), key=lambda i: (-values[i], key[i]))
    assert order.tolist() == expected


def test_random_intervals_are_prediction_intervals() -> None:
    rng = np.random.default_rng(0)
    draws = Draws(np.array([0, 0.5, 1]), 0.5 + 0.05 * rng.normal(size=(6, 3, 2)))
    low, high = draws.auc_interval()
    for at in range(2):
        values = draws.auc[:, at]
        scale = values.std(ddof=1) * math.sqrt(1 + 1 / 6)
        expected = scipy.stats.t(5, loc=values.mean(), scale=scale).interval(0.95)
        np.testing.assert_allclose((low[at], high[at]), expected)
    np.testing.assert_allclose(
        draws.deviation, scipy.stats.tstd(draws.probabilities, axis=0), rtol=1e-12
    )
    single = Draws(draws.fractions, draws.probabilities[:1])
    assert all(np.isnan(bound).all() for bound in (*single.interval(), *single.auc_interval()))
    assert np.isnan(single.deviation).all()


def test_a_prediction_interval_holds_the_next_draw() -> None:
    """Of 95 % intervals from 8 draws, 95 % hold a ninth."""
    rng = np.random.default_rng(1)
    values = 0.5 + 0.02 * rng.normal(size=(9, 1, 4000))
    low, high = Draws(np.array([0.0]), values[:8]).interval()
    inside = ((low <= values[8]) & (values[8] <= high)).mean()
    assert abs(inside - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 4000)


# -- many images -------------------------------------------------------------------------------


def row_of(summary: Summary, *key: str) -> Row:
    (row,) = (r for r in summary.rows() if (r.method, r.kind, r.outcome) == key)
    return row


def test_summary_against_scipy() -> None:
    summary, areas = Summary(), []
    for seed in range(12):
        weights = weights_of(seed)
        result = run(weights, heat(weights, "best"), seed=seed, draws=3)
        summary.add(result, predicted=0, true=seed % 2)
        best = result.methods[0]
        random = result.random_deletion.auc.mean(axis=0)
        areas.append((best.deletion.auc, best.insertion.auc, random))
    table = np.array(areas)  # (images, 3, classes)
    for kind, outcome, chosen, at in (
        ("predicted", "all", slice(None), [0] * 12),
        ("predicted", "right", slice(0, None, 2), [0] * 6),
        ("predicted", "wrong", slice(1, None, 2), [0] * 6),
        ("true", "wrong", slice(1, None, 2), [1] * 6),
        ("true", "all", slice(None), [0, 1] * 6),
    ):
        part = table[chosen]
        fall, rise, random = part[np.arange(len(part)), :, at].T
        row = row_of(summary, "best", kind, outcome)
        assert row.images == len(part)
        for found, values in (
            (row.deletion, fall),
            (row.insertion, rise),
            (row.random, random),
            (row.deletion_gain, random - fall),
            (row.insertion_gain, rise - random),
        ):
            test = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
            np.testing.assert_allclose(
                (found.mean, found.low, found.high), (values.mean(), *test), rtol=1e-9
            )
    # The paired gain is that of a paired t-test.
    fall, random = table[:, 0, 0], table[:, 2, 0]
    paired = scipy.stats.ttest_rel(random, fall).confidence_interval(0.95)
    gain = row_of(summary, "best", "predicted", "all").deletion_gain
    np.testing.assert_allclose((gain.low, gain.high), paired, rtol=1e-9)
    assert gain.low > 0  # a perfect map beats random


def test_chance_is_where_a_random_map_would_end() -> None:
    """By trial: maps of random numbers, one for each image, many times over."""
    images, trials, rng = 6, 120, np.random.default_rng(5)
    weights = [weights_of(seed) for seed in range(images)]
    summaries = [Summary() for _ in range(trials)]
    for i in range(images):
        for trial in range(trials):
            result = run(weights[i], heat(rng.random(weights[i].shape), "noise"), seed=i, draws=12)
            summaries[trial].add(result, predicted=0)
    rows = [row_of(summary, "noise", "predicted", "all") for summary in summaries]
    inside = np.mean([abs(row.deletion_gain.mean) <= row.chance for row in rows])
    assert 0.88 <= inside <= 1.0
    tenth = np.mean([abs(row.deletion_gain.mean) <= row.chance / 4 for row in rows])
    assert tenth < 0.7, "and not because it is far too wide"
    alone = Summary()
    alone.add(run(weights[0], heat(weights[0], "best"), draws=1), predicted=0)
    assert np.isnan(row_of(alone, "best", "predicted", "all").chance)


def test_maps_of_a_class_count_where_it_is_followed() -> None:
    weights = weights_of(0)
    result = run(
        weights,
        heat(weights, "relevance", 0),
        heat(-weights, "relevance", 1),
        heat(weights, "rollout"),
    )
    summary = Summary()
    summary.add(result, predicted=0, true=1)
    summary.add(result, predicted=0)
    keys = {(r.method, r.kind, r.outcome): r.images for r in summary.rows()}
    assert keys == {
        (method, kind, outcome): count
        for method in ("relevance", "rollout")
        for kind, outcome, count in (
            ("predicted", "all", 2),
            ("predicted", "wrong", 1),
            ("predicted", "unlabelled", 1),
            ("true", "all", 1),
            ("true", "wrong", 1),
        )
    }
    first, second = result.methods[:2]
    mean = row_of(summary, "relevance", "predicted", "wrong").deletion
    assert mean.mean == pytest.approx(first.deletion.auc[0]) and math.isnan(mean.low)
    mean = row_of(summary, "relevance", "true", "wrong").deletion
    assert mean.mean == pytest.approx(second.deletion.auc[1])
    with pytest.raises(AttnlibError, match="do not follow class 7"):
        summary.add(result, predicted=7)


@pytest.mark.parametrize(
    ("heats", "options", "message"),
    [
        ([heat(np.zeros(N))], {"classes": ()}, "at least one class"),
        ([heat(np.zeros(N))], {"classes": (2,)}, "A class must be from 0 to 1, not 2"),
        ([heat(np.zeros(N))], {"steps": 0}, "steps must be at least 1, not 0"),
        ([heat(np.zeros(N))], {"draws": 0}, "draws must be at least 1, not 0"),
        ([heat(np.zeros(N))] * 2, {}, "The map of map was given twice"),
        ([heat(np.full(N, np.nan))], {}, "not finite"),
        ([replace(heat(np.zeros(N)), values=np.zeros((2, 6)))], {}, r"is \(2, 6\); this model has"),
    ],
)
def test_messages(heats: list[Heat], options: dict[str, object], message: str) -> None:
    with pytest.raises(AttnlibError, match=message):
        evaluate(
            stub(weights_of(0)),
            ones(),
            heats,
            **{"classes": (0,), **options},  # type: ignore[arg-type]
        )
