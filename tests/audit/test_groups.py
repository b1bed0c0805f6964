"""Groups of an audit's images, against pandas; what chance announces; slices that are planted."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from attnlib.audit import clusters, groups, where
from attnlib.audit.opened import Opened, Where
from attnlib.audit.slices import Slice, slices
from attnlib.audit.where import Group, Key
from attnlib.errors import AttnlibError
from tests.audit.synthetic import CLASSES, Row, drawn, written

TRAITS = ("brightness", "contrast", "saturation", "sharpness", "border")
REPEATS = 200


def judged(rows: list[Row]) -> pd.DataFrame:
    """The rows as pandas has them, with what groups are by."""
    frame = pd.DataFrame(rows)
    frame["wrong"] = frame["label_index"] != frame["predicted_index"]
    frame["true class"], frame["predicted class"] = frame["label"], frame["predicted"]
    frame["folder"] = frame["name"].str.split("/").str[0]
    frame["number of pixels"] = frame["width"] * frame["height"]
    frame["width over height"] = frame["width"] / frame["height"]
    for trait in TRAITS:
        frame[trait] = frame[trait].astype(np.float32).astype(np.float64)
    frame["even border"] = frame["border"]
    frame["attention entropy"] = [np.mean(one.astype(float)) for one in frame["entropy"]]
    frame["attention distance"] = [np.mean(one.astype(float)) for one in frame["distance"]]
    frame["undecided between"] = [
        " / ".join(CLASSES[i] for i in sorted(top)) for top in frame["top_index"]
    ]
    return frame


def within(frame: pd.DataFrame, key: Key) -> np.ndarray[Any, Any]:
    by, value = key
    for sign, compare in (("at most ", operator.le), ("at least ", operator.ge)):
        if value.startswith(sign):
            return np.asarray(compare(frame[by], float(value.removeprefix(sign))))
    return np.asarray(frame[by] == value)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return drawn(0)


@pytest.fixture(scope="module")
def opened(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened(str(written(tmp_path_factory.mktemp("audit"), rows)))


def test_every_group_has_the_images_that_pandas_finds(opened: Opened, rows: list[Row]) -> None:
    tallies, every = opened.tallies()
    frame = judged(rows)
    assert every.first + every.second == len(frame)
    assert {by for group in tallies for by, _ in group} == {
        *where.CATEGORIES, *where.PROPERTIES, where.HESITATES,
    }  # fmt: skip
    pairs = 0
    for group, one in tallies.items():
        mask = np.logical_and.reduce([within(frame, key) for key in group])
        assert one.first + one.second == mask.sum(), group
        assert one.first_wrong + one.second_wrong == (mask & frame["wrong"]).sum(), group
        pairs += len(group) == 2
    # Eight properties of four ends (one never changes: none of its ends is a group), 5 classes.
    assert pairs > 400
    for by in where.PROPERTIES:
        ends = [key[1] for (key, *more) in tallies if key[0] == by and not more]
        for end in ends:
            share = within(frame, (by, end)).mean()
            assert min(abs(share - cut) for cut in (0.1, 0.25)) < 0.06 or share > 0.6, (by, end)


def test_a_group_is_a_filter_of_the_images(opened: Opened) -> None:
    tallies, _ = opened.tallies(clustered=True)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(tallies), 60, replace=False):
        group = list(tallies)[place]
        one = tallies[group]
        assert opened.count(Where("wrong", group=group)) == one.first_wrong + one.second_wrong
        assert opened.count(Where("all", group=group)) == one.first + one.second
        names = opened.page(
            Where("wrong", group=group), "name", descending=False, first=0, count=5000
        )["name"]
        assert opened.count(Where("all", names=tuple(names))) == len(names)


@pytest.mark.parametrize(
    "key",
    [
        ("brightness", "at most 1) or (1"),
        ("brightness", "at most nan"),
        ("brightness", "at most 1.2.3"),
        ("brightness", "dark"),
        ("name", "x"),
        ("true class' or '1", "x"),
        ("cluster", "1; drop table rows"),
        ("cluster", "²"),
        ("undecided between", "ant / no such class"),
    ],
)
def test_what_is_no_group_is_refused(opened: Opened, key: Key) -> None:
    with pytest.raises(AttnlibError, match="There is no group of images"):
        opened.count(Where(group=(key,)))
    assert opened.count(Where("all", group=(("true class", "'; drop table rows; --"),))) == 0


@given(st.lists(st.text("a /", min_size=1, max_size=4), min_size=2, max_size=5, unique=True),
       st.data())  # fmt: skip
def test_a_pair_of_classes_is_named_so_that_it_is_found_again(
    classes: list[str], data: st.DataObject
) -> None:
    one, other = sorted(data.draw(st.permutations(range(len(classes))))[:2])
    pair = one * 2**20 + other
    said = where.between(pair, classes)
    # Names with the sign between them may not tell; then the pair is no group.
    assert said == "" or where.two(said, classes) == pair
    if not any(" / " in name or name.startswith("/") or name.endswith("/") for name in classes):
        assert said == f"{classes[one]} / {classes[other]}" or " " in "".join(classes)


@given(st.sampled_from(groups.SIDES), st.floats(-1e12, 1e12))
def test_an_end_of_a_property_is_read_as_it_is_written(side: str, number: float) -> None:
    read = where.cut(where.end(side, number))
    assert read is not None and read[0] == side
    assert read[1] == pytest.approx(number, rel=1e-3, abs=1e-300)
    for none in (where.end(side, number) + " ", f"{side} nan", f"{side} 1.2.3", "dark", ""):
        assert where.cut(none) is None


def test_chance_is_announced_in_at_most_one_of_twenty_sets(opened: Opened) -> None:
    """The errors of one set dealt anew to its images: whatever is announced is false."""
    opened.clusters()
    cursor = opened._ask(*groups.prepare({}, clusters=True))
    ((count,),) = cursor.execute("select count(*) from judged").fetchall()
    rng = np.random.default_rng(0)
    alarms, tried = 0, 0
    for _ in range(REPEATS):
        dealt = pd.DataFrame({"dealt": rng.random(count) < 0.2})
        cursor.register("dealt", dealt)
        cursor.execute(
            "create or replace temp table judged as "
            "select judged.* replace (dealt as wrong) from judged positional join dealt"
        )
        tallies, every = groups.tallies(cursor, CLASSES)
        alarms += bool(slices(tallies, every))
        tried = len(tallies)
    interval = stats.binomtest(alarms, REPEATS).proportion_ci()
    assert interval.low <= 0.05, f"{alarms} of {REPEATS}, {interval}"
    assert tried > 400


def announced(root: Path, rows: list[Row], **options: Any) -> tuple[Opened, list[Slice]]:
    found = Opened(str(written(root, rows)))
    return found, slices(*found.tallies(**options))


def spoil(row: Row, rng: np.random.Generator, share: float) -> None:
    """Wrong in so many cases, right in the others; groups stay what they are."""
    one, other = sorted(row["top_index"])
    wrong = rng.random() < share
    row["predicted_index"] = row["label_index"] if not wrong else (
        one if row["label_index"] == other else other
    )  # fmt: skip
    row["predicted"] = CLASSES[row["predicted_index"]]


def test_two_properties_together_are_found_with_their_rate(tmp_path: Path) -> None:
    rows, rng = drawn(1, 6000), np.random.default_rng(1)
    bad = [row["label"] == "ant" and row["brightness"] <= 0.25 for row in rows]
    for row, fails in zip(rows, bad, strict=True):
        spoil(row, rng, 0.75 if fails else 0.1)
    _, found = announced(tmp_path, rows)
    best = found[0]
    assert [key[0] for key in best.group] == ["true class", "brightness"]
    assert best.group[0][1] == "ant" and best.group[1][1].startswith("at most 0.2")
    assert best.interval[0] <= 0.75 <= best.interval[1]
    # What is in it by chance is not announced beside it: no other property of its images.
    strangers = [
        one
        for one in found
        if not {"true class", "brightness", "undecided between", "predicted class"}
        & {k[0] for k in one.group}
    ]
    assert strangers == []  # fmt: skip


def test_one_property_is_not_announced_again_with_every_other(tmp_path: Path) -> None:
    rows, rng = drawn(2, 6000), np.random.default_rng(2)
    for row in rows:
        spoil(row, rng, 0.6 if row["contrast"] >= 0.375 else 0.1)
    _, found = announced(tmp_path, rows)
    assert found[0].group[0][0] == "contrast" and len(found[0].group) == 1
    assert sum(len(one.group) == 2 for one in found) <= 2


def test_a_cluster_of_the_embedding_is_found_and_described(tmp_path: Path) -> None:
    rows, rng = drawn(3, 4000), np.random.default_rng(3)
    for row in rows:
        if row["label"] == "bee's" and rng.random() < 0.3:
            # A kind of its own within a class, in nothing else unlike the others.
            row["embedding"] = (rng.standard_normal(8) * 0.1 - 6).astype(np.float16)
            row["odd"] = True
        spoil(row, rng, 0.8 if row.get("odd") else 0.1)
    opened, found = announced(tmp_path, rows, clustered=True)
    numbers = [one.group[0][1] for one in found if one.group[0][0] == "cluster"]
    assert numbers
    odd = {row["name"] for row in rows if row.get("odd")}
    inside: set[str] = set()
    described = {str(one.number): one for one in opened.clusters()}
    for number in numbers:
        group: Group = (("cluster", number),)
        page = opened.page(Where("all", group=group), "name", descending=False, first=0, count=9999)
        inside |= set(page["name"])
        assert described[number].classes[0] == "bee's"
        assert described[number].example in odd
    assert len(inside & odd) > 0.95 * len(odd) and len(inside - odd) < 0.1 * len(odd)


def test_the_half_that_is_tested_on_has_no_part_in_the_clusters(tmp_path: Path) -> None:
    rows = drawn(4, 1500)
    one = Opened(str(written(tmp_path / "one", rows)))
    first = {
        name
        for block in one.blocks()
        for name, is_first in zip(
            block["name"].to_pylist(), block["first"].to_pylist(), strict=True
        )
        if is_first
    }
    described = one.clusters()
    assert len(described) > 1 and all(cluster.example in first for cluster in described)
    for row in rows:
        if row["name"] not in first:
            row["embedding"] = -row["embedding"]
    other = Opened(str(written(tmp_path / "two", rows)))
    assert other.clusters() == described  # fmt: skip


def test_clusters_are_those_of_scikit_learn_where_they_are_plain() -> None:
    learn = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(0)
    middles = clusters.units(rng.standard_normal((4, 6)))
    places = np.arange(160) % 4
    vectors = clusters.units(middles[places] + 0.05 * rng.standard_normal((160, 6)))
    found, _ = clusters.assign(vectors, clusters.fit(vectors))
    expected = learn.KMeans(4, random_state=0, n_init=3).fit_predict(vectors)
    pairs = set(zip(found.tolist(), expected.tolist(), strict=True))
    assert len(pairs) == 4


def test_tags_are_groups_of_the_images_that_they_name(opened: Opened, rows: list[Row]) -> None:
    names = [row["name"] for row in rows[:40]] + ["gone.jpg", "'); drop table rows; --"]
    tallies, _ = opened.tallies({("tag", "odd' one"): names, ("tag", "none"): []})
    one = tallies[(("tag", "odd' one"),)]
    frame = judged(rows[:40])
    assert one.first + one.second == 40
    assert one.first_wrong + one.second_wrong == frame["wrong"].sum()
    assert (("tag", "none"),) not in tallies


@pytest.mark.parametrize("until", [3, 10**9])
def test_an_audit_of_an_earlier_version_opens(rows: list[Row], tmp_path: Path, until: int) -> None:
    """Its parts lack columns; those that were added since have them."""
    old = Opened(str(written(tmp_path, rows, lacking=TRAITS, until=until)))
    assert old.totals().images == len(rows) and old.count(Where("all")) == len(rows)
    tallies, _ = old.tallies()
    there = {by for group in tallies for by, _ in group}
    assert "number of pixels" in there and ("brightness" in there) == (until == 3)
    with_traits = [row for row in rows[1500:] if row["brightness"] <= 0.5]
    dark = old.count(Where("all", group=(("brightness", "at most 0.5"),)))
    assert dark == (len(with_traits) if until == 3 else 0)
