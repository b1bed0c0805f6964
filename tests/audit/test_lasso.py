"""Which points a drawn line encloses, compared with the parity of its winding number."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnlib.audit.lasso import CORNERS, inside, simplified

STAR = np.array([[0, 3], [2, -3], [-3, 1], [3, 1], [-2, -3]], float)
whole = st.integers(-9, 9).map(float)


def turns(point: np.ndarray, polygon: np.ndarray) -> int:
    """How often the closed line goes round a point: the sum of its angles over 2 pi."""
    rays = (polygon - point) @ [1, 1j]
    angles = np.angle(np.roll(rays, -1) / rays)
    return round(float(angles.sum() / (2 * np.pi)))


def gap(point: np.ndarray, polygon: np.ndarray) -> float:
    """The distance of a point from the line."""
    found = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        way = b - a
        along = np.clip((point - a) @ way / max(way @ way, 1e-12), 0, 1)
        found.append(float(np.linalg.norm(point - a - along * way)))
    return min(found)


@given(
    arrays(float, st.tuples(st.integers(3, 12), st.just(2)), elements=whole),
    arrays(float, (20, 2), elements=st.integers(-99, 99).map(lambda tenth: tenth / 10)),
)
def test_a_point_is_inside_where_the_line_goes_round_it_an_odd_number_of_times(
    polygon: np.ndarray, points: np.ndarray
) -> None:
    found = inside(points, polygon)
    assert found.shape == (20,)
    for point, is_inside in zip(points, found, strict=True):
        if gap(point, polygon) > 1e-6:
            assert is_inside == (turns(point, polygon) % 2 == 1)


def test_what_a_star_encloses_twice_is_outside() -> None:
    assert list(inside(np.array([[0, 0], [0, 2], [5, 5]], float), STAR)) == [False, True, False]


@pytest.mark.parametrize("polygon", [np.zeros((0, 2)), STAR[:1], STAR[:2]])
def test_fewer_than_three_corners_enclose_nothing(polygon: np.ndarray) -> None:
    assert not inside(np.array([[0.0, 0.0], [1.0, 0.0]]), polygon).any()


def test_a_corner_at_the_height_of_a_point_counts_once() -> None:
    diamond = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]], float)
    at = np.array([[-2, 0], [0, 0], [2, 0], [-0.5, 0], [1.5, 0]], float)
    assert list(inside(at, diamond)) == [False, True, False, True, False]


def test_no_points_are_no_answer() -> None:
    assert inside(np.zeros((0, 2)), STAR).shape == (0,)


def test_a_simpler_line_keeps_corners_of_the_original_and_what_it_encloses() -> None:
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    line = np.stack([np.cos(angle), 0.5 * np.sin(angle)], axis=1)
    kept = simplified(line)
    assert kept.shape == (CORNERS, 2)
    places = [int(np.flatnonzero((line == corner).all(axis=1))[0]) for corner in kept]
    assert places == sorted(places)
    grid = np.array([*itertools.product(np.linspace(-1.2, 1.2, 61), repeat=2)])
    assert (inside(grid, kept) != inside(grid, line)).mean() < 0.01


def test_the_corners_of_a_square_stay() -> None:
    side = np.linspace(0, 1, 30, endpoint=False)
    zero, one = np.zeros(30), np.ones(30)
    square = np.concatenate(
        [
            np.stack(pair, axis=1)
            for pair in ((side, zero), (one, side), (1 - side, one), (zero, 1 - side))
        ]
    )
    assert {tuple(corner) for corner in simplified(square, 4)} == {(0, 0), (1, 0), (1, 1), (0, 1)}
    assert np.array_equal(simplified(STAR), STAR)
