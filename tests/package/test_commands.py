"""``attnlib explain``: the picture is the library's, and bad input ends with 2 and a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import attnlib
from attnlib.__main__ import main
from attnlib.model import demo


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    path.write_bytes(demo.images()[3].data)
    return path


def test_the_picture_is_what_the_library_draws(
    image: Path, tmp_path: Path, vit: attnlib.Vit, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "overlay.png"
    given = ["--method", "relevance", "--target", "cat", "--device", "cpu", "--side", "96"]
    assert main(["explain", str(image), *given, "--out", str(out)]) == 0
    heat = vit.attribute(Image.open(image), "relevance", vit.class_names.index("cat"))
    drawn = np.asarray(heat.overlay(side=96))
    np.testing.assert_array_equal(np.asarray(Image.open(out)), drawn)
    said = capsys.readouterr().out
    assert "for cat" in said
    assert "CLS token" in said


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--target", "unicorn"], "unicorn"),
        (["--target", "\u00b2"], "\u00b2"),
        (["--out", "overlay.jpg"], ".png"),
        (["--out", "no/such/folder/overlay.png"], "cannot be written"),
        (["--side", "0"], "--side"),
        (["--model", "no_such_model"], "no_such_model"),
        (["--class-names", "gone.txt"], "gone.txt"),
    ],
)
def test_bad_input_ends_with_2_and_a_message(
    image: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(image), "--device", "cpu", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("attnlib: ")
    assert word in said.err


def test_an_image_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"<html></html>")
    assert main(["explain", str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["explain", str(tmp_path / "gone.png")]) == 2


def test_a_checkpoint_is_loaded_as_the_library_does(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The architecture by its arguments, one of two sets of weights, and what its outputs are."""
    torch.manual_seed(0)
    options = {"img_size": 64, "depth": 2, "num_classes": 2}
    student, teacher = (timm.create_model("vit_tiny_patch16_224", **options) for _ in range(2))
    for model in (student, teacher):
        torch.nn.init.normal_(model.head.weight)
    path = tmp_path / "last.pth"
    torch.save(
        {
            "student": student.state_dict(),
            "teacher": teacher.state_dict(),
            "args": {"model": "vit_tiny_patch16_224", "model_kwargs": {"depth": 2}},
        },
        path,
    )
    out = tmp_path / "overlay.png"
    given = ["--model", "auto", "--checkpoint", str(path), "--weights", "student"]
    given += ["--outputs", "labels", "--device", "cpu", "--side", "96", "--out", str(out)]
    assert main(["explain", str(image), *given]) == 0
    said = capsys.readouterr()
    assert "note: The architecture was found in the checkpoint's arguments: vit_tiny" in said.err
    vit = attnlib.load(student.eval(), outputs="labels", device="cpu")
    picture = Image.open(image)
    record = vit.inspect(picture)
    top = record.predicted
    assert f"({record.outputs.shown(record.probabilities[top])})" in said.out
    heat = vit.attribute(picture, "relevance")
    np.testing.assert_array_equal(np.asarray(Image.open(out)), np.asarray(heat.overlay(side=96)))


def test_a_model_without_classes_has_no_class_to_name(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=0, depth=12)
    path, out = tmp_path / "body.pth", tmp_path / "overlay.png"
    torch.save(model.state_dict(), path)
    given = ["--model", "vit_tiny_patch16_224", "--checkpoint", str(path), "--method", "rollout"]
    assert main(["explain", str(image), *given, "--device", "cpu", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "holds no classifier" in said.err
    assert out.exists() and "%" not in said.out
