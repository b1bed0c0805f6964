"""Names that labels nearly spell, and what somebody says that a label means."""

from __future__ import annotations

import difflib

import pytest

from attnlib.data.collection import Sample
from attnlib.data.labels import read_label_table
from attnlib.data.matching import match_labels
from attnlib.data.near import LEAST, near
from attnlib.data.text import loose

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("cats", "cat"),
        ("Aeroplane", "airplane"),
        ("hores", "horse"),
        ("auto_mobiles", "automobile"),
        ("circle", None),
        ("car", None),
        ("", None),
    ],
)
def test_a_near_spelling_is_found_and_nothing_far(label: str, name: str | None) -> None:
    assert near([label], CIFAR) == ({} if name is None else {label: CIFAR.index(name)})


def test_what_could_be_two_is_neither() -> None:
    assert near(["cars"], ["cart", "card"]) == {}
    assert near(["cats", "catt"], ["cat", "dog"]) == {}, "two labels are two classes"


def test_the_shortlist_loses_no_nearest_name() -> None:
    """Against every name compared with every label, letter by letter."""
    names = [f"{colour} {animal}" for colour in ("red", "grey", "black") for animal in CIFAR]
    labels = [name.replace("e", "ee", 1) + "s" for name in names]
    expected = {}
    for label in labels:
        ratios = [difflib.SequenceMatcher(None, loose(label), loose(n)).ratio() for n in names]
        best = max(ratios)
        if best >= LEAST and ratios.count(best) == 1:
            expected[label] = ratios.index(best)
    assert len(expected) > 20
    assert near(labels, names) == expected


def test_what_a_label_is_said_to_mean_holds_for_folders_and_tables() -> None:
    samples = [
        Sample("kitty/1.png", b"", "1", "kitty"),
        Sample("kitty/2.png", b"", "2", "kitty"),
        Sample("hound/3.png", b"", "3", "hound"),
        Sample("x/4.png", b"", "4", None),
    ]
    table = read_label_table(b"filename,label\n4.png,kitty\n")
    before = match_labels(samples, table, CIFAR)
    assert before.labels == {}
    assert before.unknown_names == {"kitty": 3, "hound": 1}
    assert before.strange == {
        "kitty/1.png": "kitty",
        "kitty/2.png": "kitty",
        "hound/3.png": "hound",
        "x/4.png": "kitty",
    }
    after = match_labels(samples, table, CIFAR, {"kitty": 3})
    assert after.labels == {"kitty/1.png": 3, "kitty/2.png": 3, "x/4.png": 3}
    assert (after.said, after.unknown_names) == ({"kitty": 3}, {"hound": 1})
    assert after.strange == {"hound/3.png": "hound"}


def test_a_meaning_decides_where_a_name_has_two_and_never_over_a_name() -> None:
    names = ["maillot", "maillot, tank suit", "dog"]
    samples = [Sample("maillot/1.png", b"", "1", "maillot"), Sample("dog/2.png", b"", "2", "dog")]
    assert set(match_labels(samples, None, names).ambiguous_names) == {"maillot"}
    found = match_labels(samples, None, names, {"maillot": 1, "dog": 0})
    assert found.labels == {"maillot/1.png": 1, "dog/2.png": 2}
    assert found.said == {"maillot": 1}


def test_independent_labels_are_said_one_by_one() -> None:
    samples = [Sample("1.png", b"", "1", None), Sample("2.png", b"", "2", None)]
    table = read_label_table(b"filename,label\n1.png,kitty|dog\n2.png,kitty|yak\n")
    found = match_labels(samples, table, CIFAR, {"kitty": 3}, several=True)
    assert found.sets == {"1.png": frozenset({3, 5})}
    assert found.strange == {"2.png": "kitty|yak"}
