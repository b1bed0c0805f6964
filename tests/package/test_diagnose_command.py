"""``attnlib diagnose``: the findings are the library's, with the code, the JSON and the page."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attnlib
from attnlib.__main__ import main
from attnlib.commands import sources
from attnlib.data.annotation import read_coco
from attnlib.diagnosis import diagnose
from attnlib.errors import AttnlibError, LabelError
from attnlib.model import demo, objects
from benchmarks.planted.weights import ill
from tests.audit.test_report import Page
from tests.diagnosis.planted import demo_images, demo_labels

QUICK = ["--kinds", "heads", "--device", "cpu"]


@pytest.fixture
def sick(vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch) -> attnlib.Vit:
    """The model that the command loads."""
    model = ill(vit, "uniform", 3, [1, 2])
    monkeypatch.setattr(attnlib, "load", lambda *args, **kwargs: model)
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Demo images in folders of their classes."""
    for one in demo.images()[:6]:
        path = tmp_path / "set" / one.label / one.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.data)
    return tmp_path / "set"


def test_findings_end_with_3_and_stand_in_text_json_and_page(
    sick: attnlib.Vit, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    given = ["--json", str(out), "--html", str(tmp_path / "out.html")]
    assert main(["diagnose", str(folder), *QUICK, *given]) == 3
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.png")}
    images = {name: Image.open(path).convert("RGB") for name, path in sorted(names.items())}
    labels = {name: name.split("/")[0] for name in images}
    expected = diagnose(sick, images, labels, kinds=["heads"])
    assert json.loads(out.read_text("utf-8")) == json.loads(json.dumps(expected.to_dict()))
    assert len(expected.findings) == 1
    said = capsys.readouterr().out
    assert f"1. [heads] {expected.findings[0].sentence}" in said
    assert f"6 images, 6 with a label, of which {expected.mistakes} are wrong: 1 finding." in said
    page = Page((tmp_path / "out.html").read_text("utf-8"))
    assert page.open == []
    assert expected.findings[0].sentence in page.text
    assert page.text.count("True class") == expected.mistakes


def test_a_healthy_model_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "demo", "--limit", "8", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "8 images, 8 with a label" in said
    assert "no finding" in said


def test_kinds_that_are_left_out_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "demo", "--limit", "4", "--kinds", "crop", "--device", "cpu"]) == 0
    assert "Not looked for: crop, since no image has a mask" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["gone"], "no folder, zip or image gone"),
        (["demo", "--limit", "0"], "--limit"),
        (["demo", "--model", "no_such_model"], "no_such_model"),
        (["demo", "--labels", "gone.csv"], "gone.csv cannot be read"),
        (["demo", "--limit", "2", *QUICK, "--json", "no/such/place.json"], "cannot be written"),
    ],
)
def test_bad_input_ends_with_2_and_a_sentence(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("attnlib: ")
    assert word in said
    assert "Traceback" not in said


def test_names_cannot_steer_the_terminal(
    sick: attnlib.Vit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "a\x1b[31mred"
    place.mkdir()
    (place / "b\x1b[31mred.png").write_bytes(demo.images()[0].data)
    assert main(["diagnose", str(place), *QUICK]) == 3
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\ufffd[31mred" in said.out


def test_a_table_labels_what_a_zip_holds(vit: attnlib.Vit, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        for one in demo.images()[:3]:
            opened.writestr(f"images/{one.name}", one.data)
        opened.writestr("images/broken.png", b"<html></html>")
    path, table = tmp_path / "set.zip", tmp_path / "labels.csv"
    path.write_bytes(packed.getvalue())
    first, second = demo.images()[:2]
    table.write_text(f"filename,label\n{first.name},cat\n{second.name},unicorn\ngone.png,dog\n")
    found = sources.read(str(path), table, vit, None)
    name = next(name for name in found.labels)
    assert name.endswith(first.name)
    assert found.labels == {name: 3}
    assert len(found.images) == 3
    notes = " ".join(found.notes)
    assert "broken.png" in notes and "unicorn" in notes and "gone.png" in notes
    table.write_text("filename,label\na.png,dog\n")
    with pytest.raises(LabelError, match="No image got a label"):
        sources.read(str(path), table, vit, None)


def test_masks_come_with_their_images(vit: attnlib.Vit, tmp_path: Path) -> None:
    mask = np.zeros((32, 32), dtype=bool)
    mask[3:9, 5:7] = True
    (tmp_path / "cat.png").write_bytes(demo.images()[0].data)
    (tmp_path / "dog.png").write_bytes(demo.images()[1].data)
    Image.fromarray(mask).save(tmp_path / "cat_mask.png")
    found = sources.read(str(tmp_path), None, vit, None)
    assert set(found.images) == {"cat.png", "dog.png"}
    assert set(found.masks) == {"cat.png"}
    np.testing.assert_array_equal(found.masks["cat.png"], mask)


def test_annotations_are_masks_of_the_images_that_have_none(
    sick: attnlib.Vit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, one in zip(("cat", "dog", "cow"), demo.images(), strict=False):
        (tmp_path / f"{name}.png").write_bytes(one.data)
    own = np.zeros((32, 32), dtype=bool)
    own[3:9, 5:7] = True
    Image.fromarray(own).save(tmp_path / "cat_mask.png")
    images = [
        {"id": i, "file_name": f"{name}.png", "width": 32, "height": 32}
        for i, name in enumerate(("cat", "dog", "gnu"))
    ]
    boxes = [{"image_id": i, "bbox": [4, 8, 10, 20], "category_id": 1} for i in range(3)]
    file = tmp_path / "objects.json"
    file.write_text(
        json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "x"}]})
    )
    found = sources.read(str(tmp_path), None, sick, None, read_coco(file.read_bytes()))
    box = np.zeros((32, 32), dtype=bool)
    box[8:28, 4:14] = True
    assert set(found.masks) == {"cat.png", "dog.png"}
    np.testing.assert_array_equal(found.masks["cat.png"], own)
    np.testing.assert_array_equal(found.masks["dog.png"], box)
    assert main(["diagnose", str(tmp_path), *QUICK, "--coco", str(file)]) == 3
    assert "1 image has no annotated object" in capsys.readouterr().err
    file.write_text("[]")
    assert main(["diagnose", str(tmp_path), *QUICK, "--coco", str(file)]) == 2
    assert "COCO annotations need" in capsys.readouterr().err


def test_the_demo_is_the_embedded_one(vit: attnlib.Vit) -> None:
    found = sources.read("demo", None, vit, None)
    images = demo_images()
    assert {n: i.tobytes() for n, i in found.images.items()} == {
        n: i.tobytes() for n, i in images.items()
    }
    assert {n: vit.class_names[i] for n, i in found.labels.items()} == demo_labels()
    few = sources.read("demo", None, vit, 5)
    assert len(few.images) == len(few.labels) == 5
    assert set(few.images) < set(images)


def test_more_than_memory_holds_is_refused_with_the_way_out(
    vit: attnlib.Vit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_PIXELS", 10_000)
    with pytest.raises(AttnlibError, match="--limit"):
        sources.read("demo", None, vit, None)
    assert len(sources.read("demo", None, vit, 9).images) == 9


def test_links_are_not_followed(vit: attnlib.Vit, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "set" / "link.png").symlink_to(next(folder.rglob("*.png")))
    assert len(sources.read(str(folder), None, vit, None).images) == 6


def test_the_second_demo_brings_its_labels_and_masks() -> None:
    vit = attnlib.load(objects.NAME, device="cpu")
    found = sources.read(objects.NAME, None, vit, None)
    assert not found.notes
    for image in objects.images():
        assert vit.class_names[found.labels[image.name]] == image.label
        drawn = np.asarray(Image.open(io.BytesIO(image.mask)))
        np.testing.assert_array_equal(found.masks[image.name], drawn)
