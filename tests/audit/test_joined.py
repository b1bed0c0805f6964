"""Two evaluations side by side: counts by hand, and what tells a cause."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnlib.audit import joined
from attnlib.audit.joined import Here, Joined, in_order, join
from attnlib.data.results import Results
from attnlib.data.results.table import empty
from attnlib.errors import LabelError

CLASSES = ("cat", "dog", "horse")


def results(rows: list[tuple[str, str, str, float]], **more: np.ndarray) -> Results:
    """Rows of name, label, predicted class and confidence."""
    table = empty(len(rows))
    for place, column in enumerate(("name", "label", "predicted", "confidence")):
        table[column] = [row[place] for row in rows]
    return Results(table, **more)


def here(rows: list[tuple[str, str, str, float]], **more: np.ndarray) -> Here:
    names, labels, predicted, confidence = (list(column) for column in zip(*rows, strict=True))
    return Here(names, labels, predicted, np.array(confidence), CLASSES, **more)


OURS = [
    ("set/cat/1.png", "cat", "cat", 0.9),
    ("set/cat/2.png", "cat", "dog", 0.6),
    ("set/dog/3.png", "dog", "dog", 0.8),
    ("set/dog/4.png", "", "cat", 0.7),
    ("set/dog/5.png", "dog", "horse", 0.5),
]


def test_counts_are_those_made_by_hand() -> None:
    found = join(
        here(OURS),
        results(
            [
                ("2.png", "cat", "Cat", 0.91),  # differs; the case of a name counts for nothing
                ("/other/root/cat/1.png", "dog", "0", 0.8),  # the index of cat; another label
                ("3", "dog", "dog", 0.7),
                ("4.png", "", "zebra", 0.9),  # no class of this model
                ("9.png", "dog", "dog", 0.9),  # no image here
            ]
        ),
    )
    assert found.table["name"].tolist() == [name for name, *_ in OURS[:4]]
    assert (found.compared, found.agreeing) == (3, 2)
    assert found.unknown == ("9.png",) and found.missing == 1
    assert found.strange == {"zebra": 1}
    assert found.differing[["name", "theirs", "ours"]].values.tolist() == [
        ["set/cat/2.png", "cat", "dog"]
    ]
    assert found.right("theirs") == (3, 3) and found.right("ours") == (2, 3)
    assert found.label_agreement == (2, 3)
    assert found.apart == pytest.approx(0.1)
    # Wilson's interval: the shares p with |2/3 - p| = z sqrt(p (1 - p) / 3).
    for edge in found.interval:
        assert abs(2 / 3 - edge) == pytest.approx(1.959964 * math.sqrt(edge * (1 - edge) / 3), 1e-4)
    assert "2 of 3 images: 66.7%" in found.sentence and "prepared" in found.sentence


def test_a_row_that_fits_several_images_is_not_used() -> None:
    ours = [("a/1.png", "", "cat", 0.5), ("b/1.png", "", "cat", 0.5)]
    found = join(here(ours), results([("1.png", "", "cat", 0.5)]))
    assert found.ambiguous == ("1.png",) and found.missing == 2 and not found.compared
    assert "nothing can be compared" in found.sentence


def test_classes_in_another_order_are_told_from_images_prepared_otherwise() -> None:
    turned = {"cat": "dog", "dog": "horse", "horse": "cat"}
    ours = [(f"{i}.png", "", CLASSES[i % 3], 0.9) for i in range(30)]
    moved = join(here(ours), results([(n, "", turned[c], 0.9) for n, _, c, _ in ours]))
    assert moved.reordered is not None and turned[moved.reordered[1]] == moved.reordered[0]
    assert "another order" in moved.sentence
    rng = np.random.default_rng(0)
    mixed = [(n, "", str(rng.choice(CLASSES)), 0.5) for n, *_ in ours]
    assert join(here(ours), results(mixed)).reordered is None
    # All said to be one class: no other order makes that of three.
    most = [(n, "", "dog" if i % 5 else c, 0.9) for i, (n, _, c, _) in enumerate(ours)]
    same = join(here(most), results([(n, "", "cat", 0.5) for n, *_ in ours]))
    assert same.reordered is None and "prepared" in same.sentence


def test_embeddings_are_compared_by_their_angle() -> None:
    rng = np.random.default_rng(0)
    mine = rng.standard_normal((5, 7)).astype(np.float32)
    theirs = mine[::-1] + 0.5 * rng.standard_normal((5, 7)).astype(np.float32)
    rows = [(name, "", "cat", 0.5) for name, *_ in OURS][::-1]
    found = join(here(OURS, embeddings=mine), results(rows, embeddings=theirs))
    cosines = [
        float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in zip(mine.astype(float), theirs[::-1].astype(float), strict=True)
    ]
    assert found.likeness == pytest.approx(float(np.median(cosines)), abs=1e-6)
    other = results(rows, embeddings=theirs[:, :3])
    assert join(here(OURS, embeddings=mine), other).likeness is None


def test_rows_without_names_need_an_order_and_as_many() -> None:
    names = ["b/1.png", "a/2.png", "a b/3.png"]
    bare = results([("", "", c, 0.5) for c in CLASSES])
    with pytest.raises(LabelError, match="No column names the images"):
        join(here(OURS), bare)
    # By folder first, as torchvision's ImageFolder: "a" before "a b", though " " is before "/".
    assert in_order(bare, names).table["name"].tolist() == ["a/2.png", "a b/3.png", "b/1.png"]
    with pytest.raises(LabelError, match="3 rows for 2 images"):
        in_order(bare, names[:2])


def test_very_many_names_are_compared_exactly_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined, "MOST_COMPARED", 4)
    rows = [("set/cat/1.png", "", "cat", 0.5), ("2.png", "", "dog", 0.5)]
    found: Joined = join(here(OURS), results(rows))
    assert found.exact and found.compared == 1 and found.unknown == ("2.png",)
