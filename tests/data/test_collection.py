import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attnlib.data import archive, collection, image
from attnlib.data.collection import Collection, Refusal, collect


def png(grey: int = 0) -> bytes:
    """A small picture whose bytes differ with ``grey``."""
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), grey, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


GOOD = png(200)


def zipped(
    *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are wanted here
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def header_bomb() -> bytes:
    """A picture whose header says 60000 x 60000."""
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + GOOD[24:29]
    return GOOD[:12] + header + struct.pack(">I", zlib.crc32(header)) + GOOD[33:]


def names(found: Collection) -> list[str]:
    return [sample.name for sample in found.samples]


def labels(found: Collection) -> dict[str, str | None]:
    return {sample.name: sample.label for sample in found.samples}


def encrypted() -> bytes:
    data = bytearray(zipped(("a.png", png(1)), ("good.png", GOOD)))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def wrong_checksum() -> bytes:
    data = zipped(("a.png", png(1)), ("good.png", GOOD), method=zipfile.ZIP_STORED)
    return data.replace(png(1)[-30:-20], bytes(10), 1)


def understated_size() -> bytes:
    """A bomb whose headers claim 1000 bytes."""
    body = GOOD + bytes(image.MAX_BYTES)
    data = zipped(("a.png", body), ("good.png", GOOD))
    assert data.count(struct.pack("<I", len(body))) == 2
    return data.replace(struct.pack("<I", len(body)), struct.pack("<I", 1000))


def beside_good(name: str | zipfile.ZipInfo, data: bytes = GOOD) -> Callable[[], bytes]:
    return lambda: zipped((name, data), ("good.png", GOOD))


def bzip2() -> bytes:
    data = zipped(("a.png", png(1)), method=zipfile.ZIP_BZIP2)
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("good.png", GOOD)
    return stream.getvalue()


def nameless() -> bytes:
    data = zipped(("good.png", GOOD), ("a", png(1)))
    entry = data.rindex(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    # The name's one byte becomes its comment, so that nothing moves.
    changed = bytearray(data)
    changed[entry + 28 : entry + 34] = struct.pack("<HHH", 0, 0, 1)
    assert end == entry + 47
    return bytes(changed)


PATH = "leads outside"
NESTED = "zip inside a zip"
FORMAT = f"not an image format we read ({', '.join(image.FORMATS)})"
MEMBERS: list[tuple[str, Callable[[], bytes], str, str]] = [
    ("traversal", beside_good("../a.png"), "../a.png", PATH),
    ("inner traversal", beside_good("x/../../a.png"), "x/../../a.png", PATH),
    ("backslashes", beside_good("..\\a.png"), "..\\a.png", PATH),
    ("absolute", beside_good("/etc/a.png"), "/etc/a.png", PATH),
    ("drive", beside_good("C:\\a.png"), "C:\\a.png", PATH),
    ("symlink", beside_good(*link("a.png", "/etc/passwd")), "a.png", "symbolic link"),
    ("encrypted", encrypted, "a.png", "encrypted"),
    ("nested", beside_good("b.zip", zipped(("c.png", GOOD))), "b.zip", NESTED),
    ("nested, disguised", beside_good("b.png", zipped(("c.png", GOOD))), "b.png", NESTED),
    ("checksum", wrong_checksum, "a.png", "corrupt"),
    ("bomb", beside_good("a.png", GOOD + bytes(image.MAX_BYTES)), "a.png", "too large"),
    ("understated bomb", understated_size, "a.png", "corrupt"),
    ("bzip2", bzip2, "a.png", "compression method"),
    ("text", beside_good("a.txt", b"hello"), "a.txt", FORMAT),
    ("no name", nameless, "", PATH),
    ("empty member", beside_good("a.png", b""), "a.png", "empty"),
    ("header bomb", beside_good("a.png", header_bomb()), "a.png", "too many pixels"),
]


@pytest.mark.parametrize(
    ("make", "name", "reason"), [row[1:] for row in MEMBERS], ids=[row[0] for row in MEMBERS]
)
def test_a_bad_member_is_refused_and_the_rest_survives(
    make: Callable[[], bytes], name: str, reason: str
) -> None:
    found = collect([("all.zip", make()), ("after.png", png(9))])
    (refusal,) = found.refusals
    assert refusal.name == name
    assert reason in refusal.reason
    assert names(found) == ["good.png", "after.png"]


ZIPS: list[tuple[str, bytes, str]] = [
    ("not a zip", b"hello", "corrupt or not a zip"),
    ("nothing", b"", "corrupt or not a zip"),
    ("cut", zipped(("a.png", GOOD))[:-30], "corrupt or not a zip"),
    ("magic only", b"PK\x03\x04" + bytes(50), "corrupt or not a zip"),
    ("no members", zipped(), "holds no files"),
]


@pytest.mark.parametrize(
    ("data", "reason"), [row[1:] for row in ZIPS], ids=[row[0] for row in ZIPS]
)
def test_a_bad_zip_is_refused_whole(data: bytes, reason: str) -> None:
    found = collect([("bad.zip", data), ("after.png", GOOD)])
    (refusal,) = found.refusals
    assert refusal.name == "bad.zip"
    assert reason in refusal.reason
    assert names(found) == ["after.png"]


LOOSE: list[tuple[str, str, bytes, str]] = [
    ("empty", "a.png", b"", "empty"),
    ("html", "a.png", b"<html><body>no</body></html>", "HTML page"),
    ("svg", "a.png", b"<svg/>", "SVG drawing"),
    ("text", "a.txt", b"hello", FORMAT),
    ("too large", "a.png", GOOD + bytes(image.MAX_BYTES), "too large"),
    ("traversal", "../a.png", GOOD, PATH),
]


@pytest.mark.parametrize(
    ("name", "data", "reason"), [row[1:] for row in LOOSE], ids=[row[0] for row in LOOSE]
)
def test_a_bad_file_is_refused_and_the_rest_survives(name: str, data: bytes, reason: str) -> None:
    found = collect([("before.png", png(1)), (name, data), ("after.png", png(2))])
    (refusal,) = found.refusals
    assert refusal.name == name
    assert reason in refusal.reason
    assert names(found) == ["before.png", "after.png"]


def test_a_sample_carries_its_bytes_and_digest() -> None:
    (sample,) = collect([("a.png", GOOD)]).samples
    assert (sample.data, sample.sha256, sample.note) == (GOOD, image.sha256(GOOD), "")


def test_contents_decide_not_the_ending() -> None:
    found = collect([("photo", GOOD), ("zip.png", zipped(("a.png", png(1))))])
    assert names(found) == ["photo", "a.png"]


# paths -> labels
TREES: list[tuple[str, dict[str, str | None]]] = [
    ("plain files", {"1.png": None, "2.png": None}),
    ("folders", {"cats/1.png": "cats", "dogs/1.png": "dogs"}),
    ("container", {"data/cats/1.png": "cats", "data/dogs/1.png": "dogs", "data/0.png": None}),
    ("splits", {"d/train/a/1.png": "a", "d/val/a/1.png": "a", "d/val/b/1.png": "b"}),
    ("one folder", {"cats/1.png": None, "cats/2.png": None}),
    ("one folder in a container", {"data/cats/1.png": None, "data/cats/2.png": None}),
    ("beside a folder", {"1.png": None, "cats/2.png": "cats"}),
    ("similar names", {"cat/1.png": "cat", "cats/1.png": "cats"}),
]  # fmt: skip


@pytest.mark.parametrize("expected", [row[1] for row in TREES], ids=[row[0] for row in TREES])
@pytest.mark.parametrize("as_zip", [False, True])
def test_folder_labels(expected: dict[str, str | None], as_zip: bool) -> None:
    files = [(path, png(grey)) for grey, path in enumerate(expected)]
    assert labels(collect([("all.zip", zipped(*files))] if as_zip else files)) == expected


def test_backslashes_and_dots_are_cleaned() -> None:
    found = collect([(".\\cats\\1.png", png(1)), ("./dogs//2.png", png(2))])
    assert labels(found) == {"cats/1.png": "cats", "dogs/2.png": "dogs"}


def test_each_zip_is_a_tree_of_its_own() -> None:
    first = zipped(("data/cats/1.png", png(1)), ("data/dogs/1.png", png(2)))
    found = collect([("1.zip", first), ("2.zip", zipped(("x/3.png", png(3)))), ("4.png", png(4))])
    assert list(labels(found).values()) == ["cats", "dogs", None, None]


def test_a_broken_image_or_a_table_does_not_change_the_labels() -> None:
    files = [("d/cats/1.png", GOOD), ("d/dogs/2.png", b"broken")]
    assert labels(collect(files)) == {"d/cats/1.png": "cats"}
    files = [("d/0.png", png(1)), ("d/cats/1.png", GOOD), ("labels.csv", b"a,b")]
    assert labels(collect(files)) == {"d/0.png": None, "d/cats/1.png": "cats"}


def test_junk_is_skipped_silently() -> None:
    junk = [
        "__MACOSX/._1.png",
        ".DS_Store",
        "cats/._1.png",
        "Thumbs.db",
        ".git/a.png",
        "desktop.ini",
    ]
    files = [(name, b"junk") for name in junk]
    assert collect(files) == Collection((), ())
    found = collect([("all.zip", zipped(*files, ("cats/1.png", GOOD)))])
    assert (names(found), found.refusals) == (["cats/1.png"], ())


def test_tables_are_returned_and_not_refused() -> None:
    table = b"filename,label\na.png,cat\n"
    found = collect([("labels.CSV", table), ("all.zip", zipped(("x/more.csv", table + b"\n")))])
    assert found.tables == (("labels.CSV", table), ("x/more.csv", table + b"\n"))
    assert (found.samples, found.refusals) == ((), ())


def test_duplicates() -> None:
    files = [
        ("a.png", png(1)),
        ("b.png", png(1)),  # same content, other name
        ("a.png", png(1)),  # the same file again
        ("a.png", png(2)),  # other content, same name
        ("a.png", png(2)),
        ("a.png", png(3)),
        ("a (2).png", png(4)),
    ]
    found = collect(files)
    assert [(s.name, s.data) for s in found.samples] == [
        ("a.png", png(1)),
        ("b.png", png(1)),
        ("a (2).png", png(2)),
        ("a (3).png", png(3)),
        ("a (2) (2).png", png(4)),
    ]
    assert "same content as a.png" in found.samples[1].note
    assert "another file is called a.png" in found.samples[2].note
    assert found.refusals == ()


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    members = [(f"{n}.png", png(n)) for n in range(3)]
    found = collect([("all.zip", zipped(*members)), ("good.png", GOOD)])
    assert found.refusals == (
        Refusal("all.zip", "The zip holds 3 files, and the limit is 2: split it."),
    )
    assert names(found) == ["good.png"]
    junk = [("__MACOSX/._0.png", b""), ("x/", b"")]
    assert len(collect([("all.zip", zipped(*members[:2], *junk))]).samples) == 2


def test_too_many_entries_are_refused_before_the_directory_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_ZIP_ENTRIES", 2)
    monkeypatch.setattr(archive, "_open_zip", lambda _: pytest.fail("parsed"))
    data = zipped(*((f".{n}", b"") for n in range(3)))
    (refusal,) = collect([("all.zip", data)]).refusals
    assert "more than 2 entries" in refusal.reason


def test_a_zip_that_unpacks_to_too_much_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 4 * len(png(0)))
    members = [(f"{n}.png", png(n)) for n in range(1, 9)]
    found = collect([("all.zip", zipped(*members)), ("good.png", GOOD)])
    (refusal,) = found.refusals
    assert refusal.name == "all.zip"
    assert "unpacks to more than" in refusal.reason
    assert f"last {9 - len(found.samples)} files" in refusal.reason
    assert 3 <= len(found.samples) - 1 <= 4


def test_corrupt_members_are_charged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a zip of thousands of members with bad checksums would be unpacked for hours."""
    monkeypatch.setattr(archive, "MAX_TOTAL", 3_000_000)
    body = png(1) + bytes(1_000_000)
    data = zipped(*((f"{n}.png", body) for n in range(9)))
    checksum = struct.pack("<I", zipfile.ZipFile(io.BytesIO(data)).infolist()[0].CRC)
    found = collect([("all.zip", data.replace(checksum, bytes(4)))])
    assert [refusal.name for refusal in found.refusals] == ["0.png", "1.png", "2.png", "all.zip"]
    assert "unpacks to more than" in found.refusals[-1].reason


def test_a_member_that_says_it_is_too_large_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 1_000_000)
    found = collect([("all.zip", beside_good("a.png", GOOD + bytes(image.MAX_BYTES))())])
    assert names(found) == ["good.png"]


def test_a_member_that_is_no_image_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TOTAL", 10_000)
    bomb = ("a.png", bytes(10_000_000))
    found = collect([("all.zip", zipped(bomb, ("b.txt", bytes(10_000_000)), ("good.png", GOOD)))])
    assert names(found) == ["good.png"]
    assert [refusal.name for refusal in found.refusals] == ["a.png", "b.txt"]


def test_too_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "MAX_SAMPLES", 2)
    monkeypatch.setattr(archive, "_read", lambda *_: pytest.fail("a full collection reads on"))
    files = [(f"{n}.png", png(n)) for n in range(3)]
    found = collect([*files, files[0], ("all.zip", zipped(("z.png", GOOD)))])
    assert names(found) == ["0.png", "1.png"]
    assert [refusal.name for refusal in found.refusals] == ["2.png", "z.png"]
    assert all("More than 2 files" in refusal.reason for refusal in found.refusals)


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "MAX_COLLECTION_BYTES", 2 * 2**20)
    files = [(f"{n}.png", png(n) + bytes(2**20 - 500)) for n in range(2)]
    found = collect([*files, ("2.png", png(2) + bytes(2**20)), ("3.png", png(3))])
    assert names(found) == ["0.png", "1.png", "3.png"]
    (refusal,) = found.refusals
    assert (refusal.name, refusal.reason) == (
        "2.png",
        "More than 2 MiB in all: upload less at once.",
    )


def test_names_in_utf8_without_the_flag_and_decomposed() -> None:
    flagged = zipped(("k\u00e4fer/1.png", png(1)), ("h\u00fcte/1.png", png(2)))
    data = bytearray(flagged)
    for magic, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        start = -1
        while (start := flagged.find(magic, start + 1)) >= 0:
            data[start + at + 1] &= ~8
    assert names(collect([("a.zip", bytes(data))])) == ["k\u00e4fer/1.png", "h\u00fcte/1.png"]
    assert names(collect([("ka\u0308fer.png", GOOD)])) == ["k\u00e4fer.png"]


SEED = zipped(("cats/1.png", png(1)), ("dogs/2.png", png(2)), ("labels.csv", b"a,b\n"))


@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=8))
@settings(max_examples=200, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_a_mutated_zip_never_raises_and_the_rest_survives(edits: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for position, value in edits:
        data[position] = value
    found = collect([("all.zip", bytes(data)), ("good.png", GOOD)])
    assert found.samples[-1].data == GOOD


@given(st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_name_is_kept_refused_or_junk(name: str) -> None:
    found = collect([(name + "/a.png", GOOD)])
    for kept in names(found):
        parts = kept.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert "\\" not in kept


def test_json_is_kept_as_annotations_and_means_no_folder() -> None:
    found = collect([("data/a.png", GOOD), ("data/notes/coco.json", b"{}")])
    assert found.annotations == (("data/notes/coco.json", b"{}"),)
    assert [sample.name for sample in found.samples] == ["data/a.png"]
    assert not found.refusals
    assert collect([("x.zip", zipped(("a.png", GOOD), ("coco.json", b"[]")))]).annotations
