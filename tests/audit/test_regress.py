"""Two audits of one set by slice, against pandas and the binomial test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from attnlib.__main__ import main
from attnlib.audit.opened import Opened
from attnlib.audit.regress import BROKEN, CATEGORIES, FIXED, compare
from tests.audit.synthetic import CLASSES, drawn, later, written


def test_each_slice_is_what_pandas_counts(tmp_path: Path) -> None:
    rows = drawn(5, 2000)
    then = later(rows, 6)
    found = compare(
        *(Opened(str(written(tmp_path / name, one))) for name, one in (("a", rows), ("b", then)))
    )
    frame = pd.DataFrame(rows)
    frame["was"] = frame["label_index"] != frame["predicted_index"]
    frame["now"] = [row["label_index"] != row["predicted_index"] for row in then]
    for trait in ("brightness", "sharpness"):
        frame[trait] = frame[trait].astype(np.float32).astype(float)
    kinds: dict[str, list[float]] = {}
    seen = 0
    for group in found.groups:
        kinds.setdefault(group.by if group.by in ("true class", "folder") else "", []).append(
            group.p_value
        )
        if group.by == "true class":
            mine = frame[frame["label"] == group.value]
        elif group.by == "folder":
            mine = frame[frame["name"].str.startswith(f"{group.value}/")]
        elif group.by in ("brightness", "sharpness"):
            words, number = group.value.rsplit(" ", 1)
            low = words == "at most"
            share = (frame[group.by] <= float(number)) if low else frame[group.by] >= float(number)
            mine = frame[share]
        else:
            continue
        seen += 1
        fixed, broken = (mine["was"] & ~mine["now"]).sum(), (~mine["was"] & mine["now"]).sum()
        both = (mine["was"] & mine["now"]).sum()
        assert (group.images, group.fixed, group.broken, group.both_wrong) == (
            len(mine), fixed, broken, both,
        ), group  # fmt: skip
        assert group.still_right == (~mine["was"] & ~mine["now"]).sum()
        p = stats.binomtest(int(fixed), int(fixed + broken)).pvalue if fixed + broken else 1
        assert group.p_value == pytest.approx(p)
        for category in CATEGORIES:
            assert len(found.of(group, category)) == {
                BROKEN: broken, FIXED: fixed, "still wrong": both, "still right": group.still_right
            }[category]  # fmt: skip
    assert seen == 5 + 3 + 8
    # The false discovery rate is over the groups of a kind.
    for group in found.groups:
        ps = kinds[group.by if group.by in ("true class", "folder") else ""]
        expected = min(
            min(1.0, p * len(ps) / sum(other <= p for other in ps))
            for p in ps
            if p >= group.p_value
        )
        assert group.q_value == pytest.approx(expected)


def test_a_slice_that_regresses_ends_the_command_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All images get better, dark ones worse: what is right on the whole hides it."""
    rows, rng = drawn(7, 3000, wrong=0.3), np.random.default_rng(8)
    then = []
    for row in rows:
        dark = row["brightness"] <= 0.1
        if dark and rng.random() < 0.4:
            said = (row["label_index"] + 1) % len(CLASSES)
        else:
            said = row["label_index"] if not dark and rng.random() < 0.3 else row["predicted_index"]
        then.append({**row, "predicted_index": said, "predicted": CLASSES[said]})
    first, second = written(tmp_path / "a", rows), written(tmp_path / "b", then)
    found = compare(Opened(str(first)), Opened(str(second)))
    assert found.all.fixed > found.all.broken
    assert {group.by for group in found.regressions} == {"brightness"}
    assert main(["compare", str(first), str(second)]) == 3
    worse = capsys.readouterr().out.splitlines()[-1]
    assert worse.startswith("Worse by more than chance: brightness at most 0.1")
    assert main(["compare", str(first), str(second), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["regressions"][0].startswith("brightness at most")
    assert main(["compare", str(second), str(second)]) == 0


def test_an_audit_without_the_properties_takes_them_of_the_other(tmp_path: Path) -> None:
    rows = drawn(9, 600)
    traits = ("brightness", "contrast", "saturation", "sharpness", "border")
    old = Opened(str(written(tmp_path / "old", rows, lacking=traits)))
    new = Opened(str(written(tmp_path / "new", later(rows, 1))))
    both, reverse = compare(old, new), compare(new, old)
    assert {g.words: g.images for g in both.groups} == {g.words: g.images for g in reverse.groups}
    assert any(group.by == "brightness" for group in both.groups)
    neither = compare(old, old)
    assert not any(group.by == "brightness" for group in neither.groups)
