"""Audits of sets: each row is what the model says, whatever stops and starts between."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import attnlib
from attnlib.__main__ import main
from attnlib.audit.runs import Engine, Folder, ModelWanted, Wanted, begin, run
from attnlib.audit.runs.run import _stratified
from attnlib.audit.runs.shard import Worker
from attnlib.data.sets import open_set
from attnlib.data.traits import measure
from attnlib.errors import AttnlibError, ModelError, OutOfMemory
from attnlib.model import demo
from attnlib.model.fingerprint import fingerprint
from benchmarks.audit_faults import Trial, undisturbed

MODEL = ModelWanted("demo")
BROKEN = "dog/broken.png"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo images in folders of their classes, and a file that is none."""
    root = tmp_path_factory.mktemp("set")
    for one in demo.images():
        path = root / one.label / one.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(one.data)
    (root / BROKEN).write_bytes(b"no image")
    return str(root)


def audited(vit: attnlib.Vit, wanted: Wanted, out: Path, **engine: Any) -> list[Row]:
    audit = begin(MODEL, wanted, str(out), vit=vit)
    run(audit, MODEL, wanted, Engine(device="cpu", **engine), lambda images: None, vit=vit)
    return rows(out)


def rows(out: Path) -> list[Row]:
    folder = Folder(str(out))
    return [row for shard in sorted(folder.done()) for row in folder.part(shard).to_pylist()]


def test_each_row_is_what_the_module_says(vit: attnlib.Vit, source: str, tmp_path: Path) -> None:
    wanted = Wanted(source, top=3, probabilities=True, maps=("rollout", "attention"), shard_size=32)
    found = audited(vit, wanted, tmp_path / "out", batch_size=7)
    assert [row["name"] for row in found] == sorted(row["name"] for row in found)
    assert len(found) == 81
    embeddings: list[torch.Tensor] = []
    hook = vit.module.head.register_forward_pre_hook(lambda module, x: embeddings.append(x[0]))
    for row in found:
        if row["name"] == BROKEN:
            assert row["error"] and row["label"] == "dog" and row["predicted"] is None
            continue
        image = Image.open(Path(source) / row["name"]).convert("RGB")
        with torch.no_grad():
            logits = vit.module(vit.pixels(image))[0].double()
        shares = logits.softmax(0).numpy()
        label = vit.class_names.index(row["name"].split("/")[0])
        assert (row["label"], row["label_index"]) == (vit.class_names[label], label)
        assert row["predicted_index"] == shares.argmax()
        assert row["predicted"] == vit.class_names[shares.argmax()]
        second, first = np.sort(shares)[-2:]
        for column, value in (
            ("confidence", first),
            ("margin", first - second),
            ("probability_true", shares[label]),
            ("loss", -math.log(shares[label])),
        ):
            assert row[column] == pytest.approx(value, rel=1e-4, abs=1e-5), column
        np.testing.assert_allclose(row["probabilities"], shares, atol=1e-5)
        assert row["top_index"] == np.argsort(-shares)[:3].tolist()
        np.testing.assert_allclose(row["top_probability"], np.sort(shares)[::-1][:3], atol=1e-5)
        expected = embeddings[-1][0].numpy()
        np.testing.assert_allclose(row["embedding"], expected, rtol=1e-3, atol=1e-3)
        record = vit.inspect(image)
        np.testing.assert_allclose(row["map_rollout"], record.rollout[1:], rtol=1e-2, atol=1e-5)
        mean = record.rows[-1, :, 1:].mean(axis=0)
        np.testing.assert_allclose(row["map_attention"], mean, rtol=1e-2, atol=1e-5)
        assert (row["width"], row["height"], row["error"]) == (32, 32, None)
        assert 0 <= row["self_check"] < 1e-4
        for trait, value in asdict(measure(image)).items():
            assert row[trait] == pytest.approx(value, rel=1e-6), trait
    hook.remove()


def test_entropy_and_distance_are_those_of_the_rows(
    vit: attnlib.Vit, source: str, tmp_path: Path
) -> None:
    (row,) = [
        row
        for row in audited(vit, Wanted(source, limit=2), tmp_path / "out")
        if row["error"] is None
    ][:1]
    record = vit.inspect(Image.open(Path(source) / row["name"]).convert("RGB"))
    rows_, cols = record.grid
    places = [(4 * (i // cols), 4 * (i % cols)) for i in range(rows_ * cols)]
    for layer in range(len(record.rows)):
        entropies, distances = [], []
        for head in record.rows[layer].astype(np.float64):
            share = head[1:] / head[1:].sum()
            entropies.append(-(share * np.log(share)).sum() / math.log(len(share)))
            distances.append(
                sum(
                    share[i] * share[j] * math.dist(places[i], places[j])
                    for i in range(len(share))
                    for j in range(len(share))
                )
            )
        assert row["entropy"][layer] == pytest.approx(np.mean(entropies), abs=1e-4)
        assert row["distance"][layer] == pytest.approx(np.mean(distances), rel=1e-3)


def test_a_run_that_is_stopped_goes_on_where_it_was(
    vit: attnlib.Vit, source: str, tmp_path: Path
) -> None:
    wanted = Wanted(source, shard_size=16)
    whole = audited(vit, wanted, tmp_path / "whole")
    audit = begin(MODEL, wanted, str(tmp_path / "out"), vit=vit)

    class Stop(Exception):
        pass

    def step(images: int) -> None:
        # In the middle of the third shard, whose first batch is done.
        if len(audit.folder.done()) == 2:
            raise Stop

    with pytest.raises(Stop):
        run(audit, MODEL, wanted, Engine(batch_size=8), step, vit=vit)
    assert audit.folder.done() == {0, 1}
    written = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "parts").iterdir()}
    done: list[int] = []
    again = begin(MODEL, wanted, str(tmp_path / "out"), vit=vit, resume=True)
    count = run(again, MODEL, wanted, Engine(batch_size=8), done.append, vit=vit)
    assert sum(done) == 81 - 32
    assert (count.images, count.refused, count.labelled) == (81, 1, 80)
    assert count.right == sum(row["label"] == row["predicted"] for row in whole if row["predicted"])
    for name, time in written.items():
        assert (tmp_path / "out" / "parts" / name).stat().st_mtime_ns == time
    assert rows(tmp_path / "out") == whole


def test_what_has_changed_is_refused(vit: attnlib.Vit, source: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    wanted = Wanted(source, shard_size=16)
    begin(MODEL, wanted, out, vit=vit)
    other = attnlib.load("demo", device="cpu")
    with torch.no_grad():
        other.module.head.bias[0] += 1e-6
    assert fingerprint(other.module) != fingerprint(vit.module)
    for words, change in (
        ("the model \\(weights sha256\\)", {"vit": other}),
        ("the model \\(preprocessing\\)", {"vit": vit.prepared({"crop_pct": 0.5})}),
        ("what is asked \\(top\\)", {"wanted": replace(wanted, top=2)}),
        (r"the source \(81 images then, 4 now\)", {"wanted": replace(wanted, limit=4)}),
    ):
        given = {"wanted": wanted, "vit": vit, **change}
        with pytest.raises(AttnlibError, match=words):
            begin(MODEL, given["wanted"], out, vit=given["vit"])  # type: ignore[arg-type]
    with pytest.raises(AttnlibError, match="no audit in"):
        begin(MODEL, wanted, str(tmp_path / "none"), vit=vit, resume=True)
    (tmp_path / "out" / "manifest.json").write_text("{")
    with pytest.raises(AttnlibError, match="cannot be read"):
        begin(MODEL, wanted, out, vit=vit)


def test_memory_that_does_not_suffice_halves_the_batch(
    vit: attnlib.Vit, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_: list[int] = []
    real = attnlib.Vit.inspect_pixels

    def limited(self: attnlib.Vit, pixels: torch.Tensor, **options: Any) -> Any:
        given_.append(len(pixels))
        if len(pixels) > 3:
            raise OutOfMemory("no memory")
        return real(self, pixels, **options)

    images = open_set(source)
    entries = [e for e in images.entries() if e.name != BROKEN][:10]
    worker = Worker(vit, images, {}, Wanted(source), batch_size=8)
    expected = worker.rows(entries)
    monkeypatch.setattr(attnlib.Vit, "inspect_pixels", limited)
    found = worker.rows(entries)
    assert worker.batch_size == 2 and given_[:3] == [8, 4, 2]
    names = found["name"].to_pylist(), found["predicted"].to_pylist()
    assert names == (expected["name"].to_pylist(), expected["predicted"].to_pylist())


def test_an_image_that_the_model_refuses_costs_no_other(
    vit: attnlib.Vit, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_set(source)
    entries = list(images.entries())[:6]
    bad = vit.pixels(Image.open(Path(source) / entries[2].name).convert("RGB"))
    real = attnlib.Vit.inspect_pixels

    def choosy(self: attnlib.Vit, pixels: torch.Tensor, **options: Any) -> Any:
        if any(torch.equal(one, bad[0]) for one in pixels):
            raise ModelError("not this one")
        return real(self, pixels, **options)

    monkeypatch.setattr(attnlib.Vit, "inspect_pixels", choosy)
    found = Worker(vit, images, {}, Wanted(source), batch_size=6).rows(entries).to_pylist()
    assert [row["error"] for row in found] == [None, None, "not this one", None, None, None]


@given(
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.integers(1, 60), st.randoms()
)
def test_a_sample_has_of_each_label_its_share(
    labels: Sequence[str], count: int, chance: Any
) -> None:
    rng = np.random.default_rng(chance.getrandbits(32))
    places = _stratified(labels, min(count, len(labels)), rng)
    sizes, taken = Counter(labels), Counter(labels[place] for place in places)
    assert len(set(places.tolist())) == len(places)
    count = min(count, len(labels))
    assert len(places) == max(count, len(sizes)) or len(places) >= count
    for label, size in sizes.items():
        share = size * count / len(labels)
        assert max(1, math.floor(share)) <= taken[label] <= max(1, math.ceil(share))


def test_a_limit_draws_the_same_images_each_time(
    vit: attnlib.Vit, source: str, tmp_path: Path
) -> None:
    one, two = (
        {row["name"] for row in audited(vit, Wanted(source, limit=9), tmp_path / name)}
        for name in ("one", "two")
    )
    assert one == two and len(one) == 9
    names = [row["name"] for row in audited(vit, Wanted(source, sample=20), tmp_path / "three")]
    assert {name.split("/")[0] for name in names} == set(vit.class_names)


def test_labels_of_a_table_go_before_folders(vit: attnlib.Vit, source: str, tmp_path: Path) -> None:
    names = [f"{one.label}/{one.name}" for one in demo.images()[:3]]
    table = tmp_path / "labels.csv"
    table.write_text(f"filename,label\n{names[0]},ship\n{names[1]},8\n{names[2]},zebra\n")
    wanted = Wanted(source, labels=str(table))
    found = {row["name"]: row for row in audited(vit, wanted, tmp_path / "out")}
    assert (found[names[0]]["label"], found[names[0]]["label_index"]) == ("ship", 8)
    # A word that is no class is kept as it was given.
    assert (found[names[2]]["label"], found[names[2]]["label_index"]) == ("zebra", None)
    assert sum(row["label"] is not None for row in found.values()) == 3
    with pytest.raises(AttnlibError, match="No row of"):
        table.write_text("filename,label\ngone.png,ship\n")
        begin(MODEL, wanted, str(tmp_path / "no"), vit=vit)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The rows of a trial that nobody disturbs."""
    return undisturbed(tmp_path_factory.mktemp("plain"), 24)


def test_a_killed_driver_loses_and_doubles_nothing(expected: pa.Table, tmp_path: Path) -> None:
    trial = Trial(tmp_path, 24, [])
    trial.run(kills=2)
    assert trial.done["driver"] == 2
    assert trial.faults(expected) == []
    # The trial can fail.
    part = tmp_path / "out" / "parts" / "00002.parquet"
    table = pq.read_table(part)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), part)
    assert trial.faults(expected)
    part.unlink()
    assert trial.faults(expected)


def test_a_killed_worker_of_ray_loses_and_doubles_nothing(
    expected: pa.Table, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    trial = Trial(tmp_path, 24, ["--engine", "ray", "--workers", "1"])
    trial.run(kills=0, workers=1)
    assert trial.done["worker"] == 1
    assert trial.faults(expected) == []


def test_the_command_ends_with_what_came_of_it(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    given_ = ["audit", source, "--out", out, "--device", "cpu"]
    assert main([*given_, "--resume"]) == 2
    assert "no audit in" in capsys.readouterr().err
    # One file is no image: it has a row, and the code says so.
    assert main([*given_, "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["images"], said["refused"], said["labelled"], said["right"]) == (81, 1, 80, 51)
    assert main([*given_, "--limit", "3"]) == 2
    assert "was begun otherwise" in capsys.readouterr().err
    assert main([*given_, "--batch-size", "0"]) == 2
    (Path(source) / BROKEN).rename(tmp_path / "away.png")
    try:
        assert main(["audit", source, "--out", str(tmp_path / "new"), "--device", "cpu"]) == 0
        assert "29 of 80 wrong: accuracy 63.7%" in capsys.readouterr().out
    finally:
        (tmp_path / "away.png").rename(Path(source) / BROKEN)


def test_weights_of_any_kind_have_a_fingerprint() -> None:
    module = nn.Linear(3, 2).to(torch.bfloat16)
    module.register_buffer("count", torch.tensor(3))
    same = fingerprint(module)
    assert same == fingerprint(module) and len(same) == 64
    module.count += 1
    assert fingerprint(module) != same
    assert fingerprint(nn.Linear(3, 2)) != fingerprint(nn.Linear(3, 2))
    # The same bytes in another shape are other weights.
    flat, square = nn.Module(), nn.Module()
    flat.register_buffer("x", torch.zeros(4))
    square.register_buffer("x", torch.zeros(2, 2))
    assert fingerprint(flat) != fingerprint(square)


def test_a_picture_of_another_mode_is_noted(vit: attnlib.Vit, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    buffer = io.BytesIO()
    picture = Image.new("RGB", (20, 40), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, "JPEG", exif=exif.tobytes())
    (tmp_path / "set" / "turned.jpg").write_bytes(buffer.getvalue())
    (row,) = audited(vit, Wanted(str(tmp_path / "set")), tmp_path / "out")
    assert (row["width"], row["height"]) == (40, 20) and "upright" in row["notes"]
    assert row["label"] is None and row["loss"] is None and row["probability_true"] is None
