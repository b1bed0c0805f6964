"""Clusters that are kept beside an audit: read where they are right, found anew where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from attnlib.audit import clusters
from attnlib.audit.opened import Opened, Where
from tests.audit.synthetic import drawn, written


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    return written(tmp_path / "audit", drawn(5, 1500))


def kept(root: Path) -> list[Path]:
    return sorted(root.glob("clusters-*.parquet"))


def sizes(opened: Opened) -> list[int]:
    numbers = [str(one.number) for one in opened.clusters()]
    return [opened.count(Where("all", group=(("cluster", number),))) for number in numbers]


def forbidden(*_: Any) -> None:
    raise AssertionError("clusters were looked for again")


def test_they_are_found_once(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Opened(str(audit))
    found, counted = first.clusters(), sizes(first)
    assert len(found) > 1 and sum(counted) == 1500 and len(kept(audit)) == 1
    monkeypatch.setattr(clusters, "fit", forbidden)
    second = Opened(str(audit))
    assert second.clusters() == found and sizes(second) == counted
    (group,) = (("cluster", str(found[0].number)),)
    one, other = (
        list(o.page(Where("all", group=(group,)), "name", descending=False, first=0, count=2000)
             ["name"])
        for o in (first, second)
    )  # fmt: skip
    assert one == other and found[0].example in one


@pytest.mark.parametrize("damage", [b"", b"PAR1 none", b"half", b"other columns"])
def test_what_is_damaged_is_found_anew(audit: Path, damage: bytes) -> None:
    expected = Opened(str(audit)).clusters()
    (file,) = kept(audit)
    whole = file.read_bytes()
    other = (audit / "listing.parquet").read_bytes()
    file.write_bytes(
        {b"half": whole[: len(whole) // 2], b"other columns": other}.get(damage, damage)
    )
    assert Opened(str(audit)).clusters() == expected
    assert file.read_bytes() == whole


def test_more_parts_have_clusters_of_their_own(audit: Path) -> None:
    last = audit / "parts" / "00002.parquet"
    part = last.read_bytes()
    last.unlink()
    opened = Opened(str(audit))
    assert sum(sizes(opened)) == 1000
    last.write_bytes(part)
    opened.refresh()
    assert sum(sizes(opened)) == 1500 and len(kept(audit)) == 2


def test_a_folder_that_cannot_be_written_is_asked_all_the_same(
    audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("attnlib.audit.runs.manifest._on_disk", full)
    assert sum(sizes(Opened(str(audit)))) == 1500 and not kept(audit)


def test_no_start_is_much_worse_than_scipys() -> None:
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((60, 16))
    vectors = clusters.units(middles[rng.integers(60, size=3000)] + rng.standard_normal((3000, 16)))

    def spread(found: np.ndarray[Any, Any]) -> float:
        apart = ((vectors[:, None] - found) ** 2).sum(axis=2)
        return float(apart.min(axis=1).mean())

    ours = clusters.fit(vectors)
    assert ours.shape == (30, 16)
    theirs = min(
        spread(kmeans2(vectors, 30, iter=25, minit="++", seed=seed)[0]) for seed in range(4)
    )
    assert spread(ours) < 1.02 * theirs


def test_the_nearest_middle_is_that_of_the_direction() -> None:
    rng = np.random.default_rng(1)
    vectors = (rng.standard_normal((200, 7)) * rng.uniform(0.01, 900, (200, 1))).astype(np.float32)
    vectors[3], vectors[5, 2], vectors[7, 0] = 0, np.inf, np.nan
    middles = clusters.units(rng.standard_normal((9, 7)))
    made = clusters.units(vectors).astype(np.float64)
    assert not made[[3, 5, 7]].any()
    apart = ((made[:, None] - middles.astype(np.float64)) ** 2).sum(axis=2)
    places, less = clusters.assign(vectors, middles)
    usable = np.setdiff1d(np.arange(200), [3, 5, 7])
    assert np.array_equal(places[usable], apart[usable].argmin(axis=1))
    np.testing.assert_allclose(less[usable], apart[usable].min(axis=1) - 1, atol=1e-5)
    assert (places < 9).all() and np.isfinite(less).all()
