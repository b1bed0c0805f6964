"""A workspace from its making to its end, on both databases."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attnlib.data.archive import Refusal
from attnlib.store import NotFound, Setup, Store, StoreError, Usage

from .making import ADA, BEN, new, png, said, sha256, stored


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, data in members.items():
            package.writestr(name, data)
    return buffer.getvalue()


def _blobs(home: Path) -> set[str]:
    """The names of the files that the store really keeps."""
    return {path.name for path in (home / "blobs").rglob("*") if path.is_file()}


def test_all_that_is_in_a_workspace_is_there_after_a_restart(
    connect: Callable[[], Store], tmp_path: Path
) -> None:
    first, id, weights = connect(), new(), b"weights" * 1000
    before = datetime.now(UTC)
    first.create(ADA, id, "  Street  signs ")
    files = [
        stored("a.png", png(1)),
        stored("set.zip", _zip({"cat/b.png": png(2), "dog/c.png": png(3), "no.png": b"no"})),
        stored("labels.csv", b"filename,label\na.png,cat\n"),
    ]
    first.add_files(ADA, id, files)
    setup = Setup({"name": "vit", "classes": ["Ä", "🐱"]}, {"rule": None}, {"w": sha256(weights)})
    first.set_up(ADA, id, setup, {sha256(weights): weights})
    case = first.say(ADA, id, "a.png", said(), said("cut off", "t1", "t2", should_be="dog")).case
    comment = new()
    first.comment(ADA, id, comment, "a.png", "Look at the ear.")
    first.close()

    contents = connect().open(ADA, id)
    assert contents.files == tuple(files)
    assert [file.opened.items[0][1].read() for file in contents.files if file.name == "a.png"] == [
        png(1)
    ]
    assert isinstance(contents.files[1].opened.items[2], Refusal)
    assert contents.files[1].opened.zipped and not contents.files[0].opened.zipped
    assert contents.setup == setup
    assert contents.cases == {"a.png": case}
    assert case.remark.tags == ("t1", "t2") and case.remark.should_be == "dog"
    assert (case.version, case.by, case.by_name) == (1, ADA.id, "Ada")
    (told,) = contents.comments["a.png"]
    assert (told.id, told.author, told.text) == (comment, ADA.id, "Look at the ear.")
    changes = connect().changes(ADA, id)
    assert changes.files == tuple(file.id for file in files)
    assert (changes.head, changes.cases, changes.comments) == (
        contents.head,
        contents.cases,
        contents.comments,
    )
    head = contents.head
    assert (head.name, head.images, head.owner, head.role) == ("Street signs", 3, ADA.id, "admin")
    assert before <= head.created <= head.changed <= datetime.now(UTC)
    assert connect().blob(ADA, id, sha256(weights)) == weights
    assert len(_blobs(tmp_path)) == 5


def test_the_revision_grows_with_every_change_and_with_nothing_else(empty: Store) -> None:
    id, file = new(), stored("a.png", png(1))
    weights = b"w"
    setup = Setup({"name": "vit"}, {}, {"w": sha256(weights)})
    comment = new()
    empty.create(ADA, id, "A")
    before = said()
    acts: list[Callable[[], object]] = [
        lambda: empty.add_files(ADA, id, [file]),
        lambda: empty.set_up(ADA, id, setup, {sha256(weights): weights}),
        lambda: empty.say(ADA, id, "a.png", before, said("x")),
        lambda: empty.comment(ADA, id, comment, "a.png", "hello"),
        lambda: empty.rename(ADA, id, "B"),
        lambda: empty.share(ADA, id, "team", {BEN.id: "viewer"}),
        lambda: empty.archive(ADA, id),
        lambda: empty.restore(ADA, id),
        lambda: empty.uncomment(ADA, id, comment),
        lambda: empty.remove_files(ADA, id, [file.id]),
    ]
    for act in acts:
        revision = empty.head(ADA, id).revision
        act()
        assert empty.head(ADA, id).revision == revision + 1
        act()  # an answer that was lost
        assert empty.head(ADA, id).revision == revision + 1
    empty.open(ADA, id)
    empty.workspaces(ADA)
    assert empty.head(ADA, id).revision == 1 + len(acts)


def test_the_newest_change_stands_first_and_the_archive_apart(empty: Store) -> None:
    ids = [new() for _ in range(3)]
    for place, id in enumerate(ids):
        empty.create(ADA, id, f"w{place}")
    empty.say(ADA, ids[0], "x", said(), said("new"))
    assert [head.id for head in empty.workspaces(ADA)] == [ids[0], ids[2], ids[1]]
    empty.archive(ADA, ids[2])
    assert [head.id for head in empty.workspaces(ADA)] == [ids[0], ids[1]]
    assert [head.id for head in empty.workspaces(ADA, archived=True)] == [ids[2]]
    empty.restore(ADA, ids[2])
    assert [head.id for head in empty.workspaces(ADA)] == [ids[2], ids[0], ids[1]]


def test_a_copy_holds_everything_and_goes_its_own_way(empty: Store, tmp_path: Path) -> None:
    id, copy = new(), new()
    empty.create(ADA, id, "A", "team")
    empty.add_files(ADA, id, [stored("a.png", png(1)), stored("b.png", png(2))])
    first = empty.say(ADA, id, "a.png", said(), said("one")).case
    empty.say(ADA, id, "a.png", first, said("two"))
    empty.comment(ADA, id, new(), "a.png", "hello")
    head = empty.duplicate(BEN, id, copy, "Mine")
    assert (head.owner, head.access, head.images, head.name) == (BEN.id, "private", 2, "Mine")
    one, two = empty.open(ADA, id), empty.open(BEN, copy)
    assert (one.files, one.setup, one.cases) == (two.files, two.setup, two.cases)
    assert one.comments == two.comments
    assert empty.history(ADA, id, "a.png") == empty.history(BEN, copy, "a.png")
    with pytest.raises(NotFound):
        empty.open(ADA, copy)
    empty.say(BEN, copy, "a.png", two.cases["a.png"], said("three"))
    assert empty.open(ADA, id).cases["a.png"].remark.note == "two"
    empty.delete(ADA, id)
    assert _blobs(tmp_path) == {sha256(png(1)), sha256(png(2))}
    assert [file.opened.items[0][1].read() for file in empty.open(BEN, copy).files] == [
        png(1),
        png(2),
    ]


def test_what_is_deleted_is_gone_from_the_disk_unless_somebody_else_uses_it(
    empty: Store, tmp_path: Path
) -> None:
    one, two, shared, weights = new(), new(), stored("s.png", png(9)), b"weights"
    for me, id in ((ADA, one), (BEN, two)):
        empty.create(me, id, "W")
        empty.add_files(me, id, [shared])
    own = stored("o.png", png(1))
    empty.add_files(ADA, one, [own])
    empty.set_up(ADA, one, Setup(attachments={"w": sha256(weights)}), {sha256(weights): weights})
    assert _blobs(tmp_path) == {sha256(png(9)), sha256(png(1)), sha256(weights)}
    empty.set_up(ADA, one, Setup())
    assert _blobs(tmp_path) == {sha256(png(9)), sha256(png(1))}
    empty.remove_files(ADA, one, [own.id])
    assert _blobs(tmp_path) == {sha256(png(9))}
    empty.delete(ADA, one)
    assert _blobs(tmp_path) == {sha256(png(9))}
    empty.delete(BEN, two)
    assert _blobs(tmp_path) == set()
    for me, id in ((ADA, one), (BEN, two)):
        with pytest.raises(NotFound):
            empty.open(me, id)


def test_a_persons_usage_counts_each_content_once(empty: Store) -> None:
    ids = [new(), new()]
    for id in ids:
        empty.create(ADA, id, "W")
        empty.add_files(ADA, id, [stored("a.png", png(1)), stored("b.png", png(2))])
    empty.create(BEN, new(), "W")
    assert empty.usage(ADA) == Usage(4, len(png(1)) + len(png(2)))
    assert empty.usage(BEN) == Usage(0, 0)


def test_an_attachment_needs_its_bytes_or_to_be_there(empty: Store) -> None:
    mine, theirs, secret = new(), new(), b"Ben's weights"
    empty.create(ADA, mine, "A")
    empty.create(BEN, theirs, "B")
    known = Setup(attachments={"w": sha256(secret)})
    empty.set_up(BEN, theirs, known, {sha256(secret): secret})
    with pytest.raises(StoreError, match="without its bytes"):
        empty.set_up(ADA, mine, known)  # whoever knows the hash does not get the bytes
    with pytest.raises(NotFound):
        empty.blob(ADA, mine, sha256(secret))
    with pytest.raises(StoreError, match="not those of its SHA-256"):
        empty.set_up(ADA, mine, known, {sha256(secret): b"other"})
    empty.set_up(BEN, theirs, Setup({"name": "x"}, {}, known.attachments))
    assert empty.blob(BEN, theirs, sha256(secret)) == secret


@pytest.mark.parametrize("text", ["a\x00b", "half \ud800", "🐱 é", "'; DROP TABLE blob; --"])
def test_any_text_can_be_stored(empty: Store, text: str) -> None:
    id = new()
    kept = text.replace("\x00", "�").replace("\ud800", "�")
    assert empty.create(ADA, id, text).name == kept
    case = empty.say(ADA, id, text, said(), said(text, text, should_be=text)).case
    assert (case.remark.tags, case.remark.note, case.remark.should_be) == ((kept,), kept, kept)
    empty.comment(ADA, id, new(), text, text)
    contents = empty.open(ADA, id)
    assert contents.cases == {kept: case}
    assert contents.comments[kept][0].text == kept
    assert empty.history(ADA, id, text) == [case]


def test_what_is_too_much_is_refused_in_words(empty: Store) -> None:
    id = new()
    empty.create(ADA, id, "W")
    for act in (
        lambda: empty.create(ADA, new(), " \n "),
        lambda: empty.create(ADA, new(), "x" * 201),
        lambda: empty.create(ADA, "../../etc", "x"),
        lambda: empty.say(ADA, id, "x", said(), said("n" * 100_001)),
        lambda: empty.say(ADA, id, "x", said(), said("", *map(str, range(201)))),
        lambda: empty.say(ADA, id, "é" * 1_001, said(), said("n")),
        lambda: empty.comment(ADA, id, new(), "x", "  "),
        lambda: empty.comment(ADA, id, new(), "x", "c" * 20_001),
        lambda: empty.set_up(ADA, id, Setup({"x": float("nan")})),
        lambda: empty.set_up(ADA, id, Setup({"x": object()})),
        lambda: empty.set_up(ADA, id, Setup({"x": "y" * 2**24})),
    ):
        with pytest.raises(StoreError, match=r"\.$"):
            act()
    assert empty.head(ADA, id).revision == 1


def test_moments_are_exact_to_the_microsecond(empty: Store) -> None:
    id = new()
    head = empty.create(ADA, id, "W")
    again = empty.head(ADA, id)
    assert head.created == again.created
    assert again.created.utcoffset() == timedelta(0)
