"""Images counted in cells: none is lost, and each lies where its components put it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.decomposition import PCA

from attnlib.audit.density import density


@given(st.integers(1, 200), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_every_image_is_in_one_cell_and_counted_there(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"{i}" for i in range(n)]
    judged, wrong = rng.random(n) < 0.7, rng.random(n) < 0.3
    made = density(names, rng.standard_normal((n, d)), judged, wrong)
    assert made.cells["images"].sum() == n and (made.cells["images"] > 0).all()
    assert made.cells["judged"].sum() == judged.sum()
    assert made.cells["wrong"].sum() == (wrong & judged).sum()
    listed = [name for cell in range(len(made.cells)) for name in made.inside(cell)]
    assert sorted(listed) == sorted(names)
    for cell, one in enumerate(made.cells.itertuples()):
        inside = [int(name) for name in made.inside(cell)]
        assert (len(inside), judged[inside].sum()) == (one.images, one.judged)
        order = [bool(wrong[i] and judged[i]) for i in inside]
        assert order == sorted(order, reverse=True)
        assert np.isnan(one.rate) if not one.judged else one.rate == one.wrong / one.judged
        if one.judged:
            low = stats.binomtest(int(one.wrong), int(one.judged)).proportion_ci(0.95, "wilson").low
            assert one.least == pytest.approx(low, abs=1e-9)


def test_cells_are_squares_along_scikit_learns_components() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((500, 5)) * [9, 4, 1, 1, 1]
    names = [f"{i}" for i in range(500)]
    none = np.zeros(500, bool)
    made = density(names, vectors, none, none)
    reference = PCA(2)
    points = reference.fit_transform(vectors)
    assert made.shares == pytest.approx(tuple(reference.explained_variance_ratio_))
    column, row = (made.cells[side].to_numpy()[made.place] for side in ("column", "row"))
    assert made.along == round(500**0.5 / 1.5)
    size = np.ptp(points[:, 0]) / made.along
    for cells, along in ((column, points[:, 0]), (row, points[:, 1])):
        sign = np.sign(np.corrcoef(cells, along)[0, 1])
        expected = (sign * along - (sign * along).min()) / size
        assert (np.abs(cells + 0.5 - expected) <= 0.5 + 1e-6).all()
    assert column.max() == made.along - 1 and row.max() < made.along - 1
