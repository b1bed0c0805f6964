"""Embeddings in the plane, compared with scikit-learn and with what neighbourhoods must keep."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from attnlib.audit import projection
from attnlib.audit.projection import Method, pca, project
from attnlib.errors import AttnlibError


def cloud(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * np.linspace(3, 0.5, d) + 5).astype(np.float32)


def groups(per: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds far apart ``(3 per, 16)``, and which of them each point is of."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(3, 16)) * 20
    of = np.repeat(np.arange(3), per)
    return (centres[of] + rng.normal(size=(3 * per, 16))).astype(np.float32), of


@pytest.mark.parametrize(("n", "d"), [(200, 12), (12, 200), (3, 2), (2, 9), (40, 40)])
def test_pca_is_that_of_scikit_learn(n: int, d: int) -> None:
    given = cloud(n, d)
    found, reference = pca(given), PCA(2, svd_solver="full").fit(given.astype(np.float64))
    points = reference.transform(given.astype(np.float64))
    signs = np.sign((points * found.points).sum(axis=0))
    assert found.points.shape == (n, 2)
    assert found.points == pytest.approx(points * signs, abs=1e-6)
    assert found.shares == pytest.approx(reference.explained_variance_ratio_, abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(200, 12), (12, 200)])
def test_an_axis_points_to_its_largest_loading(n: int, d: int) -> None:
    given = cloud(n, d)
    centred = given.astype(np.float64) - given.astype(np.float64).mean(axis=0)
    loadings = centred.T @ pca(given).points  # (D, 2), times the variance
    assert (loadings[np.abs(loadings).argmax(axis=0), [0, 1]] > 0).all()


def test_the_order_of_images_only_reorders_the_points() -> None:
    given = cloud(60, 8)
    order = np.random.default_rng(3).permutation(60)
    assert pca(given[order]).points == pytest.approx(pca(given).points[order], abs=1e-9)


@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image_have_a_place(n: int) -> None:
    found = pca(cloud(n, 5))
    assert np.array_equal(found.points, np.zeros((n, 2)))
    assert found.shares == (0, 0)


def test_what_does_not_vary_is_not_stretched_to_a_pattern() -> None:
    line = np.outer(np.linspace(0, 1, 30), np.ones(6)).astype(np.float32)
    found = pca(line)
    assert not found.points[:, 1].any()
    assert found.shares == pytest.approx((1, 0))
    assert not pca(np.ones((9, 4), np.float32)).points.any()
    assert pca(np.linspace(0, 1, 7)[:, None]).points[:, 1].tolist() == [0] * 7


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_numbers_that_are_not_finite_are_refused_in_words(method: Method) -> None:
    broken = cloud(20, 4)
    broken[3, 1] = np.nan
    with pytest.raises(AttnlibError, match="not finite"):
        project(broken, method)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_neighbourhoods_stay_together(method: Method) -> None:
    if method == "umap":
        pytest.importorskip("umap")
    given, of = groups()
    points = project(given, method).points
    assert points.shape == (60, 2)
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(far, np.inf)
    assert (of[far.argmin(axis=1)] == of).all()


def test_the_picture_is_the_same_each_time() -> None:
    given, _ = groups()
    assert np.array_equal(project(given, "tsne").points, project(given, "tsne").points)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_too_few_images_and_a_missing_library_are_said(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "find_spec", lambda name: object())
    with pytest.raises(AttnlibError, match="at least 10 images"):
        project(cloud(9, 4), method)
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    with pytest.raises(AttnlibError, match=r"python -m pip install (scikit|umap)-learn"):
        project(cloud(30, 4), method)
    assert projection.missing("pca") == ""
