"""Nearest training images, against sorting all cosines in float64; recall of the index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib.audit import index, neighbours
from attnlib.audit.clusters import units
from attnlib.audit.neighbours import Best, nearest
from attnlib.audit.opened import Opened
from attnlib.errors import AttnlibError
from tests.audit.synthetic import Row, drawn, written

MODEL = {"weights_sha256": "a", "preprocessing": "p"}


@pytest.fixture(scope="module")
def training_rows() -> list[Row]:
    rows = [{**row, "name": f"train/{row['name']}"} for row in drawn(20, 3000)]
    rows[7] = {"name": rows[7]["name"], "label": rows[7]["label"], "error": "no image"}
    return rows


@pytest.fixture(scope="module")
def both(
    training_rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Opened, Opened, list[Row]]:
    root = tmp_path_factory.mktemp("near")
    rows = drawn(20, 3400)[3000:]
    return (
        Opened(str(written(root / "val", rows, 64, model=MODEL))),
        Opened(str(written(root / "train", training_rows, 256, model=MODEL))),
        rows,
    )


def sorted_by_cosine(row: Row, others: list[Row]) -> list[tuple[str, str, float]]:
    def unit(one: Row) -> np.ndarray[Any, Any]:
        vector = one["embedding"].astype(np.float64)
        return np.asarray(vector / np.linalg.norm(vector))

    found = [
        (o["name"], o["label"], float(unit(row) @ unit(o))) for o in others if "error" not in o
    ]
    return sorted(found, key=lambda one: -one[2])


def test_neighbours_are_those_of_float64(
    both: tuple[Opened, Opened, list[Row]], training_rows: list[Row]
) -> None:
    audit, training, rows = both
    asked = [row for row in rows if row["label_index"] != row["predicted_index"]][:12]
    found = nearest(audit, training, [row["name"] for row in asked], 5)
    assert found.exact and list(found.of) and set(found.of) == {row["name"] for row in asked}
    for row in asked:
        expected = sorted_by_cosine(row, training_rows)[:5]
        mine = [(n.name, n.label) for n in found.of[row["name"]]]
        assert mine == [(name, label) for name, label, _ in expected]
        for one, (_, _, cosine) in zip(found.of[row["name"]], expected, strict=True):
            assert one.similarity == pytest.approx(cosine, abs=1e-5)


def test_near_is_what_most_right_images_have(both: tuple[Opened, Opened, list[Row]]) -> None:
    audit, training, rows = both
    found = nearest(audit, training, [rows[0]["name"]], 1)
    usual = found.usual
    right = [r for r in rows if r["label_index"] == r["predicted_index"]]
    assert len(usual.similarities) == min(len(right), neighbours.USUAL)
    assert np.mean(usual.similarities >= usual.least) == pytest.approx(0.95, abs=0.01)
    assert usual.near(usual.least) and not usual.near(usual.least - 1e-3)
    assert usual.share(2.0) == 1 and usual.share(-1.0) == 0


def test_an_image_of_the_same_set_is_not_its_own_neighbour(
    both: tuple[Opened, Opened, list[Row]], training_rows: list[Row]
) -> None:
    _, training, _ = both
    row = training_rows[20]
    found = nearest(training, training, [row["name"]], 3).of[row["name"]]
    expected = [one for one in sorted_by_cosine(row, training_rows) if one[0] != row["name"]][:3]
    assert [one.name for one in found] == [name for name, _, _ in expected]


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 17), st.randoms())
def test_blocks_of_any_size_give_what_one_matrix_gives(
    rows: int, count: int, size: int, chance: Any
) -> None:
    rng = np.random.default_rng(chance.getrandbits(32))
    queries, all_ = (units(rng.standard_normal((n, 5))) for n in (4, rows))
    best = Best(queries, count)
    told: set[int] = set()
    for start in range(0, rows, size):
        told |= {start + int(row) for row in best.add(all_[start : start + size])}
    cosines = queries.astype(np.float64) @ all_.T.astype(np.float64)
    order = np.argsort(-cosines, axis=1)[:, :count]
    assert best.places[:, : order.shape[1]].tolist() == order.tolist()
    assert (best.places[:, order.shape[1] :] == -1).all()
    assert set(order.ravel().tolist()) <= told


def test_audits_of_different_models_are_refused(
    both: tuple[Opened, Opened, list[Row]], tmp_path: Path
) -> None:
    audit, _, rows = both
    for changed in ({"weights_sha256": "b"}, {"preprocessing": "q"}):
        other = Opened(str(written(tmp_path / str(changed)[2:6], rows, model={**MODEL, **changed})))
        with pytest.raises(AttnlibError, match="not of the same model"):
            nearest(audit, other, [rows[0]["name"]])
    with pytest.raises(AttnlibError, match="cannot be compared"):
        Best(units(np.ones((1, 3))), 2).add(units(np.ones((4, 5))))


def test_beyond_a_million_rows_a_sentence_says_what_to_install(
    both: tuple[Opened, Opened, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, training, rows = both
    monkeypatch.setattr(neighbours, "EXACT", 100)
    monkeypatch.setattr(index, "find_spec", lambda name: None)
    with pytest.raises(AttnlibError, match="pip install usearch"):
        nearest(audit, training, [rows[0]["name"]])


def test_the_index_finds_nearly_all_of_the_exact_ones(
    both: tuple[Opened, Opened, list[Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("usearch.index")
    audit, training, rows = both
    names = [row["name"] for row in rows[:40]]
    exact = nearest(audit, training, names, 10)
    monkeypatch.setattr(neighbours, "EXACT", 100)
    for _ in range(2):  # built, then found
        quick = nearest(audit, training, names, 10)
        assert not quick.exact
        hits = [
            len({n.name for n in exact.of[name]} & {n.name for n in quick.of[name]})
            for name in names
        ]
        assert sum(hits) / (10 * len(names)) >= 0.95
        for name in names:
            assert quick.of[name][0].similarity == pytest.approx(
                exact.of[name][0].similarity, abs=5e-3
            )
            assert {n.name: n.label for n in quick.of[name]}.items() <= {
                row["name"]: row["label"] for row in (*exact_rows(training),)
            }.items()


def exact_rows(training: Opened) -> list[Row]:
    return list(training.table("select name, label from rows").to_pylist())
