"""The command line: its table, its CSV, and exit code 2 with a message on bad input."""

from __future__ import annotations

import csv
import io

import pytest

from attnlib.__main__ import main


def test_a_table_that_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "vit_tiny_patch16_224", "--img-size", "384", "--batch", "8"]) == 0
    out = capsys.readouterr().out
    assert "384 x 384 pixels" in out
    assert "577" in out
    assert "1 MAC = 2 FLOPs" in out
    assert max(map(len, out.splitlines())) <= 140


def test_csv_holds_exact_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--dtype", "bfloat16", "--training", "--materialised", "--csv"]
    assert main(["cost", "vit_base_patch16_224", *options]) == 0
    table = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    values = {row["quantity"]: row["value"] for row in table}
    # Counted by timm and by PyTorch, see test_complexity.py.
    assert values["parameters"] == "86567656"
    assert values["FLOPs"] == "35127656448"
    assert values["memory: attention per head"] == str(197 * 197 * 2)


def test_cut_pixels_are_noted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "vit_tiny_patch16_224", "--img-size", "170", "100"]) == 0
    assert "cut by" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["resnet50"],
        ["no_such_model"],
        ["vit_tiny_patch16_224", "--img-size", "8"],
        ["vit_tiny_patch16_224", "--img-size", "-5"],
        ["vit_tiny_patch16_224", "--batch", "0"],
        ["vit_tiny_patch16_224", "--batch", "1000000"],
    ],
)
def test_bad_input_ends_with_2_and_a_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("attnlib: ")
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [[], ["cost"], ["cost", "x", "--dtype", "int3"],
                                       ["cost", "x", "--img-size", "1", "2", "3"]])  # fmt: skip
def test_bad_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
