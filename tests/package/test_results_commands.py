"""``attnlib check-predictions`` and ``attnlib export``, on an audit of the demo images."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import attnlib
from attnlib.__main__ import main
from attnlib.audit.runs import Engine, ModelWanted, Wanted, begin, run
from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.said import Said
from attnlib.data.image import decode
from attnlib.data.remarks import Remark
from attnlib.model import demo

COUNT = 12


@pytest.fixture(scope="module")
def shares(vit: attnlib.Vit) -> dict[str, np.ndarray]:
    """Probabilities by image, by the library."""
    return {one.name: vit.inspect(decode(one.data)).probabilities for one in demo.images()[:COUNT]}


@pytest.fixture(scope="module")
def audit(vit: attnlib.Vit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audited")
    for one in demo.images()[:COUNT]:
        place = root / "set" / one.label / one.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.data)
    (root / "set" / "cat").mkdir(exist_ok=True)
    (root / "set" / "cat" / "broken.png").write_bytes(b"none")
    model, wanted = ModelWanted("demo"), Wanted(str(root / "set"), shard_size=5)
    made = begin(model, wanted, str(root / "out"), vit=vit)
    run(made, model, wanted, Engine(), lambda images: None, vit=vit)
    return root / "out"


def table(path: Path, vit: attnlib.Vit, shares: dict[str, np.ndarray], turned: int) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", *vit.class_names])
        for place, (name, values) in enumerate(shares.items()):
            writer.writerow([name, *np.roll(values, place < turned)])
    return path


def test_agreement_decides_how_it_ends(
    audit: Path,
    vit: attnlib.Vit,
    shares: dict[str, np.ndarray],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    same = table(tmp_path / "same.csv", vit, shares, 0)
    assert main(["check-predictions", str(same), str(audit)]) == 0
    assert f"{COUNT} of {COUNT} images: 100.0%" in capsys.readouterr().out
    other = table(tmp_path / "other.csv", vit, shares, 3)
    assert main(["check-predictions", str(other), str(audit), "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["compared"], said["agreeing"]) == (COUNT, COUNT - 3)
    names = {name.rsplit("/")[-1] for name in said["differing"]}
    assert names == set(list(shares)[:3])
    assert main(["check-predictions", str(other), str(audit), "--agree", "0.7"]) == 0


def test_what_is_ambiguous_has_to_be_named(
    audit: Path, tmp_path: Path, shares: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.csv"
    rows = "".join(f"{name},cat,dog\n" for name in shares)
    path.write_text(f"filename,pred,prediction\n{rows}")
    assert main(["check-predictions", str(path), str(audit)]) == 2
    assert "--column predicted=COLUMN" in capsys.readouterr().err
    given = ["check-predictions", str(path), str(audit), "--column", "predicted=pred"]
    assert main([*given, "--agree", "0"]) == 0
    assert main([*given[:-1], "predicted=none such"]) == 2
    assert "cannot be predicted" in capsys.readouterr().err


def test_an_audit_is_exported_and_read_again(
    audit: Path, tmp_path: Path, shares: dict[str, np.ndarray], vit: attnlib.Vit
) -> None:
    out = tmp_path / "results.parquet"
    judged = next(one for one in demo.images() if one.name in shares)
    name = f"{judged.label}/{judged.name}"
    Said(Folder(str(audit))).change(name, Remark(), Remark(("odd",), "a note", "dog"))
    assert main(["export", str(audit), str(out)]) == 0
    rows = {row["filename"].rsplit("/")[-1]: row for row in pq.read_table(out).to_pylist()}
    assert set(rows) == set(shares)
    for name, values in shares.items():
        assert rows[name]["predicted"] == vit.class_names[int(values.argmax())]
        assert rows[name]["confidence"] == pytest.approx(float(values.max()), abs=1e-5)
        assert rows[name]["top_classes"][0] == rows[name]["predicted"]
        assert rows[name]["label"] == next(i.label for i in demo.images() if i.name == name)
    row = rows.pop(judged.name)
    assert (row["tags"], row["note"], row["corrected"]) == (["odd"], "a note", "dog")
    assert not any(row["tags"] or row["note"] or row["corrected"] for row in rows.values())
    assert main(["check-predictions", str(out), str(audit)]) == 0
    assert main(["export", str(audit), str(tmp_path / "results.docx")]) == 2
