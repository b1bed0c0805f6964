"""ImageNet's folders and lists, in the spellings in which they come."""

from __future__ import annotations

import json

import pytest
from timm.data import ImageNetInfo

from attnlib.data.collection import Sample
from attnlib.data.labels import match_labels, read_class_names, resolve_class
from attnlib.model.classes import imagenet_names

INFO = ImageNetInfo()
IDS = INFO.label_names()
NAMES = imagenet_names(1000) or ()


def keras() -> bytes:
    """As Keras's imagenet_class_index.json: the first synonym with underscores."""
    entries = {str(i): [w, NAMES[i].split(",")[0].replace(" ", "_")] for i, w in enumerate(IDS)}
    return json.dumps(entries, sort_keys=True).encode()


def mapping() -> bytes:
    """As Kaggle's LOC_synset_mapping.txt."""
    return "".join(f"{w} {NAMES[i]}\n" for i, w in enumerate(IDS)).encode()


LISTS = {
    "timm's": list(NAMES),
    "Keras's": read_class_names(keras()),
    "Kaggle's": read_class_names(mapping()),
    "ids": list(IDS),
}


@pytest.mark.parametrize("names", LISTS.values(), ids=list(LISTS))
def test_every_id_is_its_class(names: list[str]) -> None:
    folders = [Sample(f"val/{w}/a.png", b"", "", w) for w in IDS]
    match = match_labels(folders, None, names)
    assert list(match.labels.values()) == list(range(1000))
    assert (match.unknown_names, match.ambiguous_names) == ({}, {})


@pytest.mark.parametrize("names", LISTS.values(), ids=list(LISTS))
def test_words_that_two_classes_are_called_by_are_ambiguous(names: list[str]) -> None:
    loaded = [Sample(f"d/{t}/a.png", b"", "", t) for t in ("crane", "maillot", "goldfish")]
    match = match_labels(loaded, None, names)
    assert match.labels == {"d/goldfish/a.png": 1}
    assert match.ambiguous_names == {"crane": (134, 517), "maillot": (638, 639)}
    assert match.unlabelled == ("d/crane/a.png", "d/maillot/a.png")


def test_whole_names_side_by_side_are_no_synonyms() -> None:
    texts = ("maillot", "maillot, tank suit")
    loaded = [Sample(f"d/{t}/a.png", b"", "", t) for t in texts]
    match = match_labels(loaded, None, NAMES)
    assert list(match.labels.values()) == [638, 639]


def test_ids_find_some_of_the_classes_in_an_order_of_their_own() -> None:
    """Imagenette: ten classes of ImageNet, called by one of their names."""
    names = ["parachute", "tench", "English springer", "chain saw"]
    wanted = {"n03888257": 0, "n01440764": 1, "n02102040": 2, "n03000684": 3}
    for wordnet_id, index in wanted.items():
        assert resolve_class(wordnet_id, names) == index
    assert resolve_class("n02012849", [*names, "crane"]) is None, "a bird or a machine"


NUMBERED = [
    b"0 cat\n1 big dog\n2 cow\n",
    b"2 cow\n0 cat\n1 big dog\n",
    b"cat,0\nbig dog,1\ncow,2\n",
    b"0: cat\n1: big dog\n2: cow",
    b"1\tcat\n2\tbig dog\n3\tcow\n",
    b'index,name\n0,"cat"\n1,"big dog"\n2,cow\n',
    b"class,id\ncat,0\nbig dog,1\ncow,2\n",
    b'{"model_type": "vit", "id2label": {"0": "cat", "2": "cow", "1": "big dog"}}',
    b'{"class_to_idx": {"cow": 2, "cat": 0, "big dog": 1}}',
]


@pytest.mark.parametrize("data", NUMBERED)
def test_numbered_lists(data: bytes) -> None:
    assert read_class_names(data) == ["cat", "big dog", "cow"]


def test_names_that_end_in_numbers_are_no_numbered_list() -> None:
    for names in (["class 0", "class 1"], ["1 Euro", "2 Euro"], ["Boeing 737", "Airbus 320"]):
        assert read_class_names("\n".join(names).encode()) == names
    assert read_class_names(b"background\n1 cat\n2 dog\n") == ["background", "1 cat", "2 dog"]
