"""Labels that are numbers, against the readers that people train with."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from timm.data.readers.reader_image_folder import find_images_and_targets
from torchvision.datasets import ImageFolder

from attnlib.data.collection import Sample
from attnlib.data.labels import LabelTable, match_labels
from attnlib.data.numbering import Rule

NUMBERS = {
    "from one": [str(n) for n in range(1, 13)],
    "from zero": [str(n) for n in range(12)],
    "with gaps": ["3", "20", "100", "7", "11", "2"],
    "padded": [f"{n:03}" for n in range(1, 13)],
    "padded unlike": ["1", "02", "3", "010", "11"],
}


def names(count: int) -> list[str]:
    return [f"class {i}" for i in range(count)]


def in_folders(folders: list[str]) -> list[Sample]:
    return [Sample(f"d/{name}/{name}.png", b"", "", name) for name in folders]


def read(folders: list[str], classes: int, rule: Rule | None) -> dict[str, int]:
    match = match_labels(in_folders(folders), None, names(classes), rule=rule)
    return {name.split("/")[1]: index for name, index in match.labels.items()}


@pytest.fixture(params=NUMBERS)
def on_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for name in NUMBERS[request.param]:
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "a.png")
    return tmp_path


def test_text_order_is_that_of_torchvision(on_disk: Path) -> None:
    folders = [path.name for path in on_disk.iterdir()]
    assert read(folders, len(folders), "text") == ImageFolder(str(on_disk)).class_to_idx


def test_natural_order_is_that_of_timm(on_disk: Path) -> None:
    folders = [path.name for path in on_disk.iterdir()]
    found, classes = find_images_and_targets(str(on_disk))
    theirs = {Path(path).parent.name: index for path, index in found}
    assert theirs == classes
    assert read(folders, len(folders), "natural") == theirs


def test_the_index_is_the_number_itself() -> None:
    assert read(["0", "7", "007", "11"], 12, "index") == {"0": 0, "7": 7, "007": 7, "11": 11}


def test_some_folders_of_a_larger_set_keep_their_places() -> None:
    """As in the whole set, which had one folder for each class."""
    every = [str(n) for n in range(1, 13)]
    whole = {rule: read(every, 12, rule) for rule in ("text", "natural")}
    for rule, places in whole.items():
        assert read(["12", "3"], 12, rule) == {"12": places["12"], "3": places["3"]}
    padded = [f"{n:02}" for n in range(1, 13)]
    assert read(["12", "03"], 12, "text") == {"12": 11, "03": 2}
    assert read(padded, 12, "text") == {name: place for place, name in enumerate(padded)}


def test_which_rule_is_used_and_which_would_differ() -> None:
    def said(folders: list[str], classes: int) -> tuple[Rule | None, tuple[Rule, ...]]:
        match = match_labels(in_folders(folders), None, names(classes))
        return match.rule, match.rules

    assert said([str(n) for n in range(1, 13)], 12) == ("text", ("index", "text", "natural"))
    assert said([str(n) for n in range(10)], 10) == ("index", ("index",))
    assert said([str(n) for n in range(12)], 12) == ("index", ("index", "text"))
    assert said(["cat"], 12) == (None, ())
    # Names that are digits are names.
    match = match_labels(in_folders(["7", "3"]), None, ["7", "3"])
    assert (match.labels, match.rule) == ({"d/7/7.png": 0, "d/3/3.png": 1}, None)


def test_a_rule_that_cannot_be_applied_is_not() -> None:
    match = match_labels(in_folders(["1", "99"]), None, names(5), rule="text")
    assert (match.rule, match.labels) == ("index", {"d/1/1.png": 1})
    assert match.unknown_names == {"99": 1}


def test_numbers_of_a_table_count_from_one_where_they_must() -> None:
    loaded = [Sample(f"{n}.png", b"", "", None) for n in range(1, 6)]
    table = LabelTable({f"{n}.png": f"{n}.0" for n in range(1, 6)}, ())
    match = match_labels(loaded, table, names(5))
    assert match.labels == {f"{n}.png": n - 1 for n in range(1, 6)}
    assert (match.rule, match.rules) == ("natural", ("index", "natural"))
    match = match_labels(loaded, table, names(6))
    assert match.labels == {f"{n}.png": n for n in range(1, 6)}
    assert (match.rule, match.rules) == ("index", ("index", "natural"))
    match = match_labels(loaded, table, names(6), rule="natural")
    assert match.labels == {f"{n}.png": n - 1 for n in range(1, 6)}
