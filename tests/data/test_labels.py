import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data import labels
from attnlib.data.collection import Sample
from attnlib.data.labels import (
    LabelTable,
    check_class_count,
    match_labels,
    read_class_names,
    read_label_table,
    resolve_class,
)
from attnlib.errors import LabelError

CATS = {"a.jpg": "cat", "b.jpg": "dog"}
UMLAUT = "filename,label\na.jpg,K\u00e4fer\n"

TABLES: list[tuple[str, bytes, dict[str, str]]] = [
    ("plain", b"filename,label\na.jpg,cat\nb.jpg,dog\n", CATS),
    ("no header", b"a.jpg,cat\nb.jpg,dog", CATS),
    ("windows lines", b"filename,label\r\na.jpg,cat\r\nb.jpg,dog\r\n", CATS),
    ("old mac lines", b"filename,label\ra.jpg,cat\rb.jpg,dog\r", CATS),
    ("semicolon", b"filename;label\na.jpg;cat\nb.jpg;dog\n", CATS),
    ("tab", b"filename\tlabel\na.jpg\tcat\nb.jpg\tdog\n", CATS),
    ("any case", b" FileName , LABEL \n a.jpg , cat \nb.jpg,dog\n", CATS),
    ("image, class", b"image,class\na.jpg,cat\nb.jpg,dog\n", CATS),
    ("path, target", b"path,target\na.jpg,cat\nb.jpg,dog\n", CATS),
    ("name, y", b"name,y\na.jpg,cat\nb.jpg,dog\n", CATS),
    ("swapped, more columns", b"id,label,split,file\n1,cat,x,a.jpg\n2,dog,x,b.jpg\n", CATS),
    ("filename before name", b"name,filename,label\nx,a.jpg,cat\nx,b.jpg,dog\n", CATS),
    ("blank lines", b"\n\nfilename,label\n\na.jpg,cat\n,,\nb.jpg,dog\n", CATS),
    ("repeated row", b"filename,label\na.jpg,cat\na.jpg,cat\nb.jpg,dog\n", CATS),
    ("quotes", b'filename,label\na.jpg, "tench, Tinca tinca"\n', {"a.jpg": "tench, Tinca tinca"}),
    ("comma in a label", b"a.jpg;tench, T\nb.jpg;e, E\n", {"a.jpg": "tench, T", "b.jpg": "e, E"}),
    ("paths", b"path,label\n.\\cats\\a.jpg,cat\n", {"cats/a.jpg": "cat"}),
    ("utf-8", UMLAUT.encode(), {"a.jpg": "K\u00e4fer"}),
    ("utf-8 with mark", UMLAUT.encode("utf-8-sig"), {"a.jpg": "K\u00e4fer"}),
    ("utf-16", UMLAUT.encode("utf-16"), {"a.jpg": "K\u00e4fer"}),
    ("utf-16 big-endian", b"\xfe\xff" + UMLAUT.encode("utf-16-be"), {"a.jpg": "K\u00e4fer"}),
    ("cp1252", UMLAUT.replace("K", "\u20ac").encode("cp1252"), {"a.jpg": "\u20ac\u00e4fer"}),
    ("latin-1", UMLAUT.replace("K", "\x81").encode("latin-1"), {"a.jpg": "\x81\u00e4fer"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"), [row[1:] for row in TABLES], ids=[row[0] for row in TABLES]
)
def test_tables(data: bytes, expected: dict[str, str]) -> None:
    assert read_label_table(data) == LabelTable(expected, ())


BAD_TABLES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty"),
    ("blank", b"\xef\xbb\xbf \n\n", "is empty"),
    ("only delimiters", b",,\n,,\n", "no rows"),
    ("only a header", b"filename,label\n", "no labels"),
    ("no label in any row", b"filename,label\na.jpg,\n", "no labels.*Line 2: the label is missing"),
    ("one column", b"a.jpg\nb.jpg\n", "has 1 column and no header"),
    ("unknown columns", b"a,b,c\n1,2,3\n", "has 3 columns and no header"),
    ("picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff", "binary"),
    ("NUL", b"filename,label\na.jpg,c\0t\n", "NUL"),
    ("utf-16 without mark", UMLAUT.encode("utf-16-le"), "NUL"),
    ("open quote", b'filename,label\na.jpg,"cat\nb.jpg,dog\n', "check its quotes"),
    ("endless cell", b'filename,label\n"' + b"a" * 200_000 + b'",cat\n', "line 2"),
    ("huge", b"a" * (labels.MAX_BYTES + 1), "too large: the limit is 16 MiB"),
]


@pytest.mark.parametrize(
    ("data", "reason"), [row[1:] for row in BAD_TABLES], ids=[row[0] for row in BAD_TABLES]
)
def test_bad_tables(data: bytes, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        read_label_table(data)


def test_conflicts_win_nothing_where_one_label_is_wanted() -> None:
    table = read_label_table(b"filename,label\na.jpg,cat\nb.jpg,dog\na.jpg,dog\nc.jpg\n,cat\n")
    assert table.labels == {"b.jpg": "dog"}
    assert table.several == {"a.jpg": ("cat", "dog")}
    assert table.problems == (
        "Line 5: the label is missing.",
        "Line 6: the file name is missing.",
    )
    match = match_labels(samples("a.jpg", "b.jpg", label="cat"), table, ["cat", "dog"])
    assert match.labels == {"b.jpg": 1}
    assert match.unknown_names == {"cat | dog": 1}
    assert match.unlabelled == ("a.jpg",)


def test_problems_are_bounded() -> None:
    rows = b"".join(b"%d.jpg,\n" % n for n in range(500))
    problems = read_label_table(b"filename,label\na.jpg,cat\n" + rows).problems
    assert len(problems) == labels.MAX_PROBLEMS + 1
    assert problems[-1] == "\u2026 and 400 more problems."


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MAX_ROWS", 3)
    assert len(read_label_table(b"a,1\nb,2\nc,3\n").labels) == 3
    with pytest.raises(LabelError, match="more than 3 rows"):
        read_label_table(b"a,1\nb,2\nc,3\nd,4\n")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_table_or_a_label_error(data: bytes) -> None:
    for read in (read_label_table, read_class_names):
        try:
            assert read(data)
        except LabelError as error:
            assert str(error)


SYNONYMS = [
    "tench, Tinca tinca",
    "great white shark, white shark",
    "white wolf",
    "crane",
    "crane, hoist",
]
CLASSES: list[tuple[str, list[str], int | None]] = [
    ("cat", ["dog", "cat"], 1),
    (" cat ", ["dog", "cat"], 1),
    ("1", ["dog", "cat"], 1),
    ("2", ["dog", "cat"], None),
    ("-1", ["dog", "cat"], None),
    ("1.0", ["dog", "cat"], 1),  # as pandas writes it
    ("1.5", ["dog", "cat"], None),
    ("\u0661", ["dog", "cat"], None),  # a digit, but not an ASCII one
    ("9" * 5000, ["dog", "cat"], None),
    ("1", ["1", "0"], 0),  # an exact name before an index
    ("Polar_Bear", ["bear", "polar-bear"], 1),
    ("POLAR BEAR", ["bear", "polarBear"], 1),
    ("Cat", ["cat", "CAT"], None),
    ("cat", ["cat", "CAT"], 0),
    ("cat", ["cat", "cat"], None),
    ("bird", ["dog", "cat"], None),
    ("", ["dog", "cat"], None),
    ("_", ["dog", "-"], None),
    ("tench", SYNONYMS, 0),
    ("tinca_TINCA", SYNONYMS, 0),
    ("tench, tinca tinca", SYNONYMS, 0),
    ("white shark", SYNONYMS, 1),
    ("white", SYNONYMS, None),
    ("crane", SYNONYMS, None),  # the name of one class, and a synonym of another
    ("hoist", SYNONYMS, 4),
    ("crane", ["crane, bird", "crane, hoist"], None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "names", "expected"), CLASSES)
def test_resolve_class(text: str, names: list[str], expected: int | None) -> None:
    assert resolve_class(text, names) == expected


def test_aliases_come_after_exact_names_and_before_indices() -> None:
    assert resolve_class("n01440764", ["dog", "cat"], {"n01440764": 1}) == 1
    assert resolve_class("n01440764", ["dog", "cat"]) is None
    assert resolve_class("dog", ["dog", "cat"], {"dog": 1}) == 0
    assert resolve_class("0", ["dog", "cat"], {"0": 1}) == 1


def samples(*names: str, label: str | None = None) -> list[Sample]:
    return [Sample(name, b"", "", label) for name in names]


# loaded names, table, which sample gets which class
FILES: list[tuple[str, list[str], dict[str, str], dict[str, int]]] = [
    ("exact", ["a.jpg"], {"a.jpg": "cat"}, {"a.jpg": 0}),
    ("exact path", ["x/a", "y/a"], {"x/a": "cat", "y/a": "dog"}, {"x/a": 0, "y/a": 1}),
    ("top before nested", ["a.jpg", "y/a.jpg"], {"a.jpg": "dog"}, {"a.jpg": 1}),
    ("end of the path", ["d/x/a.jpg", "d/y/a.jpg"], {"x/a.jpg": "dog"}, {"d/x/a.jpg": 1}),
    ("base name of the sample", ["x/a.jpg"], {"a.jpg": "dog"}, {"x/a.jpg": 1}),
    ("base name of the row", ["a.jpg"], {"/data/x/a.jpg": "dog"}, {"a.jpg": 1}),
    ("case", ["IMG.JPG"], {"img.jpg": "dog"}, {"IMG.JPG": 1}),
    ("case told apart", ["A.jpg", "a.jpg"], {"A.jpg": "dog"}, {"A.jpg": 1}),
    ("case before endings", ["A.JPG", "a.png"], {"a.jpg": "dog"}, {"A.JPG": 1}),
    ("path in another case", ["x/a.jpg", "y/a.jpg"], {"X/A.jpg": "dog"}, {"x/a.jpg": 1}),
    ("no ending in the row", ["x/a.jpg"], {"a": "dog"}, {"x/a.jpg": 1}),
    ("dots and no ending", ["v1.5.jpg", "v1.jpg"], {"v1.5": "dog"}, {"v1.5.jpg": 1}),
    ("no ending in the sample", ["a"], {"a.jpg": "dog"}, {"a": 1}),
    ("closest wins", ["a.jpg"], {"a": "cat", "a.jpg": "dog"}, {"a.jpg": 1}),
    ("part of a name", ["cat-a.jpg"], {"a.jpg": "dog"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("loaded", "rows", "expected"), [row[1:] for row in FILES], ids=[row[0] for row in FILES]
)
def test_matching_of_files(
    loaded: list[str], rows: dict[str, str], expected: dict[str, int]
) -> None:
    match = match_labels(samples(*loaded), LabelTable(rows, ()), ["cat", "dog"])
    assert match.labels == expected
    assert match.unlabelled == tuple(name for name in loaded if name not in expected)
    assert match.ambiguous_files == ()


def test_rows_that_fit_several_samples_are_not_used() -> None:
    match = match_labels(
        samples("x/a.jpg", "y/a.jpg"), LabelTable({"a.jpg": "cat"}, ()), ["cat", "dog"]
    )
    assert match.labels == {}
    assert match.ambiguous_files == ("a.jpg",)
    assert match.unknown_files == ()


def test_rows_that_give_one_sample_different_labels_are_not_used() -> None:
    table = LabelTable({"A.jpg": "cat", "A.JPG": "dog"}, ())
    match = match_labels(samples("a.jpg", label="cat"), table, ["cat", "dog"])
    assert (match.labels, match.unlabelled) == ({}, ("a.jpg",))
    assert match.ambiguous_files == ("A.jpg", "A.JPG")


def test_a_row_for_a_file_of_the_same_base_name_is_not_used() -> None:
    table = LabelTable({"x/a.jpg": "cat", "y/a.jpg": "dog"}, ())
    match = match_labels(samples("x/a.jpg"), table, ["cat", "dog"])
    assert match.labels == {"x/a.jpg": 0}
    assert match.unknown_files == ("y/a.jpg",)


def test_table_and_folders_together() -> None:
    loaded = [
        *samples("cat/1.jpg", "cat/2.jpg", "cat/3.jpg", label="cat"),
        *samples("bird/4.jpg", "bird/5.jpg", label="bird"),
        *samples("6.jpg"),
    ]
    table = LabelTable({"2.jpg": "dog", "3.jpg": "wolf", "9.jpg": "cat"}, ())
    match = match_labels(loaded, table, ["cat", "dog"])
    assert match.labels == {"cat/1.jpg": 0, "cat/2.jpg": 1}
    assert match.unknown_files == ("9.jpg",)
    assert match.unknown_names == {"wolf": 1, "bird": 2}
    assert match.unlabelled == ("cat/3.jpg", "bird/4.jpg", "bird/5.jpg", "6.jpg")


def test_folders_alone_with_aliases() -> None:
    loaded = samples("n2/1.jpg", label="n2")
    assert match_labels(loaded, None, ["cat", "dog"], {"n2": 1}).labels == {"n2/1.jpg": 1}
    assert match_labels(loaded, None, ["cat", "dog"]).unknown_names == {"n2": 1}


def test_matching_is_fast_enough_for_a_large_table() -> None:
    """Every row ends in the same base name: quadratic code would take minutes."""
    table = LabelTable({f"{n}/a.jpg": "cat" for n in range(20_000)}, ())
    match = match_labels(samples("a.jpg"), table, [f"class {n}" for n in range(1000)] + ["cat"])
    assert match.labels == {"a.jpg": 1000}


NAMES: list[tuple[str, bytes, str]] = [
    ("lines", b"cat\ndog\n", ""),
    ("lines, marks and blanks at the end", b"\xef\xbb\xbfcat\r\n dog \r\n\r\n", "names.txt"),
    ("list", b'["cat", "dog"]', "names.json"),
    ("list without a name", b' ["cat", "dog"]', ""),
    ("index to name", b'{"1": "dog", "0": "cat"}', ""),
    ("name to index", b'{"dog": 1, "cat": 0}', ""),
]


@pytest.mark.parametrize(
    ("data", "filename"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES]
)
def test_class_names(data: bytes, filename: str) -> None:
    assert read_class_names(data, filename) == ["cat", "dog"]


def test_names_that_are_digits() -> None:
    assert read_class_names(b'{"7": 0, "3": 1}') == ["7", "3"]


def test_more_than_ten_indices_are_in_numeric_order() -> None:
    names = [f"class {n}" for n in range(12)]
    data = json.dumps({str(n): name for n, name in enumerate(names)}, sort_keys=True)
    assert read_class_names(data.encode()) == names


BAD_NAMES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "is empty"),
    ("empty list", b"[]", "is empty"),
    ("empty object", b"{}", "should be a list"),
    ("duplicate", b"cat\ndog\ncat\n", "Classes 0 and 2 are both called 'cat'"),
    ("gap", b"cat\n\ndog\n", "class 1 is empty"),
    ("empty name", b'["cat", " "]', "class 1 is empty"),
    ("missing index", b'{"0": "cat", "2": "dog"}', "0 to 1, each once: 1 is missing"),
    ("repeated index", b'{"cat": 0, "dog": 0}', "each once: 1 is missing"),
    ("from one", b'{"cat": 1, "dog": 2}', "0 is missing"),
    ("repeated key", b'{"cat": 0, "cat": 1}', "same key"),
    ("broken json", b'["cat", ', "not valid JSON"),
    ("deep json", b"[" * 100_000, "not valid JSON"),
    ("numbers", b"[1, 2]", "should be a list"),
    ("booleans", b'{"cat": false, "dog": true}', "should be a list"),
    ("mixed", b'{"0": "cat", "dog": 1}', "should be a list"),
    ("binary", b"\x89PNG\r\n\x1a\n\0\0", "binary"),
    ("huge", b"a" * (labels.MAX_BYTES + 1), "too large"),
]


@pytest.mark.parametrize(
    ("data", "reason"), [row[1:] for row in BAD_NAMES], ids=[row[0] for row in BAD_NAMES]
)
def test_bad_class_names(data: bytes, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        read_class_names(data)


def test_a_json_file_is_read_as_json_whatever_it_starts_with() -> None:
    with pytest.raises(LabelError, match="not valid JSON"):
        read_class_names(b"cat\ndog\n", "names.json")


def test_class_count() -> None:
    check_class_count(["cat", "dog"], 2)
    with pytest.raises(LabelError, match=r"2 class names, but the model has 1000 classes"):
        check_class_count(["cat", "dog"], 1000)
    with pytest.raises(LabelError, match=r"1 class name, but the model has 1 class\b|3 classes"):
        check_class_count(["cat"], 3)


ABC = ["cat", "dog", "tench, Tinca tinca"]
# the table, and the labels of a.png
SEVERAL: list[tuple[str, bytes, set[int]]] = [
    ("columns", b"image,cat,dog\na,1,1\n", {0, 1}),
    ("columns, none", b"image,cat,dog\na.png,0,0\nb.png,1,0\n", set()),
    ("columns of floats", b",image,cat,dog\n0,a.png,0.0,1.0\n", {1}),
    ("columns of truth", b"id,image_name,cat,dog\n7,a.png,True,False\n", {0}),
    ("columns as CelebA's", b"image_id,cat,dog\na.png,-1,1\n", {1}),
    ("bars", b"filename,label\na.png,cat|dog\n", {0, 1}),
    ("semicolons in a cell", b'filename,labels\na.png,"dog; cat"\n', {0, 1}),
    ("commas in a cell", b'filename,tags\na.png,"cat,dog"\n', {0, 1}),
    ("a name with a comma", b'filename,label\na.png,"tench, Tinca tinca"\n', {2}),
    ("such a name beside another", b"filename,label\na.png,dog|tench\n", {1, 2}),
    ("words", b"image_name,tags\na.png,dog cat\n", {0, 1}),
    ("Python's list", b"filename,label\na.png,\"['cat', 'dog']\"\n", {0, 1}),
    ("rows", b"filename,label\na.png,cat\na.png,dog\n", {0, 1}),
    ("indices", b"filename,label\na.png,0|2\n", {0, 2}),
    ("one", b"filename,label\na.png,cat\n", {0}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "expected"), [row[1:] for row in SEVERAL], ids=[row[0] for row in SEVERAL]
)
def test_several_labels(data: bytes, expected: set[int]) -> None:
    match = match_labels(samples("d/a.png"), read_label_table(data), ABC, several=True)
    assert match.sets == {"d/a.png": frozenset(expected)}
    assert match.labels == ({"d/a.png": min(expected)} if len(expected) == 1 else {})
    assert (match.unlabelled, match.unknown_names) == ((), {})


def test_a_set_with_an_unknown_label_is_no_set() -> None:
    """The others alone would say that the image does not show it."""
    table = read_label_table(b"filename,label\na.png,cat|wolf\nb.png,dog\n")
    match = match_labels(samples("a.png", "b.png"), table, ABC, several=True)
    assert match.sets == {"b.png": frozenset({1})}
    assert match.unknown_names == {"wolf": 1}
    assert match.unlabelled == ("a.png",)


def test_one_picture_in_two_folders_has_both_labels_where_several_are_allowed() -> None:
    loaded = [
        Sample("cat/1.png", b"", "same", "cat"),
        Sample("dog/9.png", b"", "same", "dog"),
        Sample("dog/2.png", b"", "other", "dog"),
    ]
    both = frozenset({0, 1})
    match = match_labels(loaded, None, ABC, several=True)
    assert match.sets == {"cat/1.png": both, "dog/9.png": both, "dog/2.png": frozenset({1})}
    assert match_labels(loaded, None, ABC).labels == {
        "cat/1.png": 0,
        "dog/9.png": 1,
        "dog/2.png": 1,
    }


def test_columns_that_leave_it_open_are_refused() -> None:
    with pytest.raises(LabelError, match="not certain"):
        read_label_table(b"image,cat,dog\na,1,-1\nb,0,1\n")


def test_an_empty_cell_among_columns_of_classes_is_no_zero() -> None:
    table = read_label_table(b"image,cat,dog\na,1,\nb,0,1\n")
    assert table.every == {"b": ("dog",)}
    assert table.problems == ("Line 2: the label is missing.",)
