"""An audit asked by its parts, against pandas over the whole table; two audits; slices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attnlib.__main__ import main
from attnlib.audit.opened import OUTCOMES, SORTS, Opened, Where
from attnlib.audit.regress import compare
from attnlib.audit.runs import Folder, Manifest, Wanted
from attnlib.audit.runs.schema import schema
from attnlib.audit.slices import slices, tail, tally
from attnlib.audit.where import Group
from attnlib.data.sets import Entry, open_set
from attnlib.errors import AttnlibError
from attnlib.model import demo

CLASSES = ("ant", "bee's", "cat; drop table rows")


def written(root: Path, rows: list[dict[str, Any]], size: int = 50) -> Path:
    """An audit's folder with these rows."""
    folder = Folder(str(root))
    entries = [Entry(row["name"], row.get("label"), row["name"]) for row in rows]
    count = -(-len(rows) // size)
    folder.begin(Manifest({"source": str(root)}, {}, "", CLASSES, {}, len(rows), count, {}),
                 entries, size)  # fmt: skip
    kinds = schema(Wanted("x"))
    for shard in range(count):
        part = rows[shard * size : (shard + 1) * size]
        columns = [pa.array([row.get(f.name) for row in part], f.type) for f in kinds]
        folder.write(shard, pa.Table.from_arrays(columns, schema=kinds))
    return root


def drawn(seed: int, count: int = 400) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for place in range(count):
        name = f"{'Left' if place % 3 else 'right'}/{place:04d}'%_.jpg"
        if rng.random() < 0.05:
            rows.append({"name": name, "error": "no image"})
            continue
        label = None if rng.random() < 0.1 else int(rng.integers(3))
        said = int(rng.integers(3)) if label is None or rng.random() < 0.4 else label
        share = float(np.float32(rng.random()))
        rows.append(
            {
                "name": name,
                "label": None if label is None else CLASSES[label],
                "label_index": label,
                "predicted": CLASSES[said],
                "predicted_index": said,
                "confidence": share,
                "margin": share / 2,
                "loss": None if label is None else -float(np.log(share)),
                "width": int(rng.integers(20, 40)),
            }
        )
    return rows


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return drawn(0)


@pytest.fixture(scope="module")
def opened(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return Opened(str(written(tmp_path_factory.mktemp("it's an audit"), rows)))


def meant(rows: list[dict[str, Any]], where: Where) -> list[dict[str, Any]]:
    def outcome(row: dict[str, Any]) -> str:
        if row.get("error"):
            return "refused"
        if row["label_index"] is None:
            return "no label"
        return "right" if row["label_index"] == row["predicted_index"] else "wrong"

    return [
        row
        for row in rows
        if where.outcome in ("all", outcome(row))
        and (not where.label or row.get("label") == where.label)
        and (not where.predicted or row.get("predicted") == where.predicted)
        and where.text.lower() in row["name"].lower()
        and ((where.low, where.high) == (0, 1)
             or where.low <= (row.get("confidence") or -1) <= where.high)
    ]  # fmt: skip


@given(
    outcome=st.sampled_from(OUTCOMES),
    label=st.sampled_from(["", *CLASSES]),
    predicted=st.sampled_from(["", *CLASSES]),
    text=st.sampled_from(["", "left", "'", "%", "_", "00", "'; drop table rows; --"]),
    ends=st.sampled_from([(0.0, 1.0), (0.2, 0.7), (0.5, 1.0)]),
    sort=st.sampled_from(SORTS),
    descending=st.booleans(),
    first=st.sampled_from([0, 7]),
)
@settings(max_examples=60)
def test_rows_are_those_that_pandas_finds(
    opened: Opened,
    rows: list[dict[str, Any]],
    outcome: Any,
    label: str,
    predicted: str,
    text: str,
    ends: tuple[float, float],
    sort: Any,
    descending: bool,
    first: int,
) -> None:
    where = Where(outcome, label, predicted, text, *ends)
    expected = meant(rows, where)
    assert opened.count(where) == len(expected)
    frame = pd.DataFrame(expected, columns=["name", "confidence", "loss", "margin"])
    frame["probability_true"] = np.nan
    frame = frame.sort_values("name", kind="stable")
    if sort != "name" or descending:
        by_name = sort == "name"
        frame = frame.sort_values(
            sort, ascending=not descending, na_position="last", kind=None if by_name else "stable"
        )
    page = opened.page(where, sort, descending=descending, first=first, count=10)
    assert page["name"].tolist() == frame["name"].tolist()[first : first + 10]


def test_totals_confusion_and_classes(opened: Opened, rows: list[dict[str, Any]]) -> None:
    totals = opened.totals()
    labelled = [r for r in rows if not r.get("error") and r["label_index"] is not None]
    right = [r for r in labelled if r["label_index"] == r["predicted_index"]]
    assert (totals.images, totals.labelled, totals.right) == (400, len(labelled), len(right))
    assert totals.refused == sum("error" in r for r in rows)
    frame = pd.DataFrame(labelled)
    frame["wrong"] = frame["label_index"] != frame["predicted_index"]
    pairs = frame[frame["wrong"]].groupby(["label", "predicted"]).size().to_dict()
    found = opened.confusion()
    assert {(r.label, r.predicted): r.images for r in found.itertuples()} == pairs
    assert found["images"].is_monotonic_decreasing
    by_class = opened.classes()
    rates = frame.groupby("label")["wrong"].mean().to_dict()
    assert {r.label: pytest.approx(r.error_rate) for r in by_class.itertuples()} == rates


def test_a_running_audit_shows_what_is_there(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    written(tmp_path, rows)
    parts = sorted((tmp_path / "parts").iterdir())
    away = tmp_path / "away.parquet"
    parts[-1].rename(away)
    one = Opened(str(tmp_path))
    assert not one.whole and one.totals().images == 350
    away.rename(parts[-1])
    one.refresh()
    assert one.whole and one.totals().images == 400
    with pytest.raises(AttnlibError, match="no audit in"):
        Opened(str(tmp_path / "none"))
    parts[0].write_bytes(b"torn")
    with pytest.raises(AttnlibError, match="cannot be read"):
        Opened(str(tmp_path)).totals()


def test_images_come_from_their_source(tmp_path: Path) -> None:
    for one in demo.images()[:5]:
        (tmp_path / "set" / one.label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / one.label / one.name).write_bytes(one.data)
    out = tmp_path / "out"
    assert main(["audit", str(tmp_path / "set"), "--out", str(out), "--device", "cpu"]) == 0
    entries = list(open_set(str(tmp_path / "set")).entries())
    wanted = [entries[3].name, entries[0].name]
    for (entry, data), name in zip(Opened(str(out)).images(wanted), wanted, strict=True):
        assert entry.name == name
        assert data == next(i.data for i in demo.images() if name.endswith(i.name))


# -- two audits -------------------------------------------------------------------------------


def test_two_audits_are_compared_image_by_image(
    rows: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    then = [dict(row) for row in rows]
    for row in then:
        # One class gets worse; nothing else changes.
        if row.get("label_index") == 1 and rng.random() < 0.6:
            row["predicted_index"], row["predicted"] = 2, CLASSES[2]
    first, second = written(tmp_path / "a", rows), written(tmp_path / "b", then)
    found = compare(Opened(str(first)), Opened(str(second)))
    pairs = [(a, b) for a, b in zip(rows, then, strict=True) if a.get("label_index") is not None]
    was = [a["label_index"] != a["predicted_index"] for a, _ in pairs]
    now = [b["label_index"] != b["predicted_index"] for _, b in pairs]
    fixed = sum(a and not b for a, b in zip(was, now, strict=True))
    broken = sum(b and not a for a, b in zip(was, now, strict=True))
    assert (found.all.images, found.all.fixed, found.all.broken) == (len(pairs), fixed, broken)
    p = stats.binomtest(fixed, fixed + broken).pvalue
    assert found.all.p_value == pytest.approx(p)
    worse = [group for group in found.regressions if group.by in ("all", "true class")]
    assert [group.value for group in worse] == ["", CLASSES[1]]
    assert main(["compare", str(first), str(second)]) == 3
    assert "Worse by more than chance: all images, bee's, " in capsys.readouterr().out
    assert main(["compare", str(second), str(first), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["all"]["fixed"] == broken
    assert main(["compare", str(first), str(first)]) == 0


def test_audits_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    rows = drawn(0)
    other = [{**row, "name": f"other/{row['name']}"} for row in rows]
    swapped = [
        {**row, "label": CLASSES[0], "label_index": 0} if row.get("label_index") == 1 else row
        for row in rows
    ]
    one, two, three = (
        Opened(str(written(tmp_path / name, given_)))
        for name, given_ in (("a", rows), ("b", other), ("c", swapped))
    )
    with pytest.raises(AttnlibError, match="share no labelled image"):
        compare(one, two)
    with pytest.raises(AttnlibError, match="different labels"):
        compare(one, three)


# -- slices -----------------------------------------------------------------------------------


def masks(rng: np.random.Generator, count: int) -> dict[Group, np.ndarray]:
    """60 groups of all sizes."""
    groups: dict[Group, np.ndarray] = {}
    for by, values in (("label", 40), ("source", 12)):
        drawn_ = rng.integers(0, values, count)
        groups |= {((by, str(value)),): drawn_ == value for value in range(values)}
    groups |= {
        (("width", str(share)),): rng.random(count) < share for share in (0.1, 0.25, 0.5, 0.9)
    }
    return groups


def test_chance_is_announced_in_at_most_one_of_twenty_sets() -> None:
    """Errors that have nothing to do with any group: whatever is announced is false."""
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        wrong, first = rng.random(2000) < 0.2, rng.random(2000) < 0.5
        found = {key: tally(mask, wrong, first) for key, mask in masks(rng, 2000).items()}
        alarms += bool(slices(found, tally(np.ones(2000, bool), wrong, first)))
    assert alarms <= stats.binom.ppf(0.99, 300, 0.05)


def test_a_slice_that_fails_is_found_with_its_numbers() -> None:
    rng = np.random.default_rng(0)
    groups = masks(rng, 4000)
    bad = groups[(("source", "7"),)]
    wrong = rng.random(4000) < np.where(bad, 0.6, 0.1)
    first = rng.random(4000) < 0.5
    found = slices(
        {key: tally(mask, wrong, first) for key, mask in groups.items()},
        tally(np.ones(4000, bool), wrong, first),
    )
    (one,) = found
    assert one.group == (("source", "7"),)
    held = bad & ~first
    assert (one.images, one.wrong) == (held.sum(), (held & wrong).sum())
    rest = wrong[~bad & ~first]
    assert one.rest == pytest.approx(rest.mean())
    odds = [[one.wrong, one.images - one.wrong], [rest.sum(), len(rest) - rest.sum()]]
    assert one.p_value == pytest.approx(stats.fisher_exact(odds, "greater").pvalue, rel=1e-6)


@given(st.integers(1, 60_000), st.data())
def test_the_tail_is_scipys(total: int, data: st.DataObject) -> None:
    images, mistakes = (data.draw(st.integers(0, total)) for _ in range(2))
    mean = images * mistakes / total
    spread = int(8 * np.sqrt(mean + 1))
    wrong = data.draw(st.integers(max(0, int(mean) - spread), min(images, int(mean) + spread)))
    expected = stats.hypergeom.sf(wrong - 1, total, mistakes, images)
    assert tail(images, wrong, total, mistakes) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_tallies_of_an_audit_are_those_of_its_rows(
    opened: Opened, rows: list[dict[str, Any]]
) -> None:
    found, every = opened.tallies()
    judged = pd.DataFrame([r for r in rows if not r.get("error") and r["label_index"] is not None])
    judged["wrong"] = judged["label_index"] != judged["predicted_index"]
    assert every.first + every.second == len(judged)
    assert every.first_wrong + every.second_wrong == judged["wrong"].sum()
    assert 0.3 < every.first / len(judged) < 0.7
    for value in CLASSES:
        one, mine = found[(("true class", value),)], judged[judged["label"] == value]
        assert one.first + one.second == len(mine)
        assert one.first_wrong + one.second_wrong == mine["wrong"].sum()
    for value in ("Left", "right"):
        one = found[(("folder", value),)]
        assert one.first + one.second == judged["name"].str.startswith(value).sum()
