"""A backup is whole, whatever people do meanwhile, and comes back into any kind of store."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from attnlib import store
from attnlib.__main__ import main
from attnlib.errors import StoreError
from attnlib.store import Contents, Setup, Store, backup
from attnlib.store.blobs import FolderBlobs

from .making import ADA, BEN, ROOT, new, png, said, sha256, stored

MASK = b"mask"


@pytest.fixture
def other(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Opens an empty store on the other kind of database, whose images lie elsewhere."""
    opened: list[Store] = []

    def make() -> Store:
        home = tmp_path / f"other{len(opened)}"
        if database.startswith("sqlite"):
            url = request.getfixturevalue("server").database()
        else:
            url = f"sqlite:///{home}/attnlib.sqlite3"
        opened.append(store.connect(url, home=home))
        return opened[-1]

    def close() -> None:
        for one in opened:
            one.close()

    request.addfinalizer(close)
    return make


def _fill(kept: Store) -> str:
    """A workspace with everything in it."""
    id = new()
    kept.create(ADA, id, "Street signs")
    kept.share(ADA, id, "team", {BEN.id: "editor"})
    files = [stored("a.png", png(1)), stored("b.png", png(2)), stored("bad.png", b"bad")]
    kept.add_files(ADA, id, [*files, stored("labels.csv", b"filename,label\na.png,cat\n")])
    setup = Setup({"name": "vit"}, {"rule": None}, {"mask": sha256(MASK)})
    kept.set_up(ADA, id, setup, {sha256(MASK): MASK})
    case = kept.say(ADA, id, "a.png", said(), said("fog", "ä")).case
    kept.say(BEN, id, "a.png", case, said("fog", "ä", should_be="dog"))
    kept.comment(BEN, id, new(), "a.png", "🐱?")
    return id


def _bytes(kept: Store, contents: Contents) -> list[bytes]:
    items = [item for file in contents.files for item in file.opened.items]
    read = [item[1].read() for item in items if isinstance(item, tuple)]
    return [
        *read,
        *(kept.blob(ADA, contents.head.id, s) for s in contents.setup.attachments.values()),
    ]


def _everything(kept: Store, id: str) -> tuple[object, ...]:
    contents = kept.open(ADA, id)
    return (
        [*map(repr, contents.files)],
        contents.head,
        contents.setup,
        contents.cases,
        contents.comments,
        _bytes(kept, contents),
        kept.history(ADA, id, "a.png"),
        kept.members(ADA, id),
        kept.events(ROOT),
        kept.usage(ADA),
    )


def test_all_of_it_comes_back_on_another_kind_of_database(
    empty: Store, other: Callable[[], Store], tmp_path: Path
) -> None:
    id = _fill(empty)
    made = empty.back_up(tmp_path / "backup")
    assert (made.workspaces, made.contents, made.lost) == (1, 4, ())
    there = other()
    # The first visitor has signed in already.
    there.record(ROOT.id, ROOT.name, "sign in")
    assert there.fill(tmp_path / "backup") == made
    before, after = _everything(empty, id), _everything(there, id)
    assert before[0] == after[0] and before[1:8] == after[1:8] and before[9] == after[9]
    assert {e.what for e in there.events(ROOT)} == {
        "sign in",
        *(e.what for e in empty.events(ROOT)),
    }
    # It works on: the next change is the next version.
    there.say(ADA, id, "a.png", there.open(ADA, id).cases["a.png"], said("rain"))
    assert len(there.history(ADA, id, "a.png")) == 3


def test_a_backup_opens_as_a_home_of_its_own(empty: Store, tmp_path: Path) -> None:
    id = _fill(empty)
    empty.back_up(tmp_path / "backup")
    shutil.copytree(tmp_path / "backup", tmp_path / "copy")
    opened = store.connect(f"sqlite:///{tmp_path}/copy/attnlib.sqlite3", home=tmp_path / "copy")
    assert _everything(opened, id) == _everything(empty, id)
    opened.close()


def test_while_people_add_and_delete(
    connect: Callable[[], Store], other: Callable[[], Store], tmp_path: Path
) -> None:
    """Whatever was acknowledged before the backup began is in it, and nothing refers to nothing."""
    kept = connect()
    id, passing = _fill(kept), new()
    kept.create(ADA, passing, "Comes and goes")
    first = [stored(f"{seed}.png", png(seed)) for seed in range(10, 30)]
    kept.add_files(ADA, id, first)
    enough, failed = threading.Event(), []

    def write() -> None:
        mine = connect()
        try:
            for seed in range(100, 10_000):
                if enough.is_set():
                    return
                file = stored(f"{seed}.png", png(seed))
                mine.add_files(ADA, id, [file])
                gone = stored(f"gone{seed}.png", png(-seed % 2**32))
                mine.add_files(ADA, passing, [gone])
                mine.remove_files(ADA, passing, [gone.id])
        except Exception as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [kept.back_up(tmp_path / "backup") for _ in range(4)][-1]
    finally:
        enough.set()
        writer.join()
    assert not failed
    assert made.lost == ()
    there = other()
    there.fill(tmp_path / "backup")
    contents = there.open(ADA, id)
    names = [file.name for file in contents.files]
    assert set(names) >= {"a.png", "b.png", "bad.png", "labels.csv", *(f.name for f in first)}
    assert names == [file.name for file in kept.open(ADA, id).files][: len(names)]
    for one in (id, passing):
        for data, item in zip(
            _bytes(there, there.open(ADA, one)),
            [i for f in there.open(ADA, one).files for i in f.opened.items if isinstance(i, tuple)],
            strict=False,
        ):
            assert hashlib.sha256(data).hexdigest() == item[1].sha256


def test_what_is_deleted_between_the_rows_and_the_contents(
    empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment, on purpose: the rows were read, and then their image is deleted."""
    id = _fill(empty)
    (file,) = [f for f in empty.open(ADA, id).files if f.name == "b.png"]
    rows, asked = backup._copy_rows, []

    def then_deleted(*arguments: object) -> object:
        found = rows(*arguments)  # type: ignore[arg-type]
        if not asked:
            empty.remove_files(ADA, id, [file.id])
        asked.append(1)
        return found

    monkeypatch.setattr(backup, "_copy_rows", then_deleted)
    made = empty.back_up(tmp_path / "backup")
    assert len(asked) == 2, "the rows were read again"
    assert made.lost == () and made.contents == 3
    there = store.connect(f"sqlite:///{tmp_path}/new/attnlib.sqlite3", home=tmp_path / "new")
    there.fill(tmp_path / "backup")
    assert [f.name for f in there.open(ADA, id).files] == ["a.png", "bad.png", "labels.csv"]
    there.close()


def test_a_later_backup_copies_what_is_new_and_drops_what_is_gone(
    empty: Store, tmp_path: Path
) -> None:
    id, folder = _fill(empty), tmp_path / "backup"
    empty.back_up(folder)
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "blobs").glob("??/*")}
    (a,) = [f for f in empty.open(ADA, id).files if f.name == "a.png"]
    empty.remove_files(ADA, id, [a.id])
    empty.add_files(ADA, id, [stored("c.png", png(3))])
    empty.back_up(folder)
    after = {p.name: p.stat().st_mtime_ns for p in (folder / "blobs").glob("??/*")}
    assert set(after) == set(before) - {sha256(png(1))} | {sha256(png(3))}
    assert all(after[name] == before[name] for name in set(after) & set(before))


def test_an_image_that_the_store_has_lost_is_told_and_the_rest_is_kept(
    empty: Store, tmp_path: Path
) -> None:
    id = _fill(empty)
    (path,) = (tmp_path / "blobs").rglob(sha256(png(2)))
    path.write_bytes(b"torn")
    made = empty.back_up(tmp_path / "backup")
    assert made.lost == (sha256(png(2)),)
    there = store.connect(f"sqlite:///{tmp_path}/new/attnlib.sqlite3", home=tmp_path / "new")
    assert there.fill(tmp_path / "backup").lost == made.lost
    assert there.blob(ADA, id, sha256(png(1))) == png(1)
    with pytest.raises(StoreError, match=r"b\.png is missing"):
        there.blob(ADA, id, sha256(png(2)))
    there.close()


def test_a_store_out_of_reach_leaves_the_earlier_backup(
    empty: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, id = tmp_path / "backup", _fill(empty)
    first = empty.back_up(folder)
    empty.add_files(ADA, id, [stored("c.png", png(3))])
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="Is its disk mounted"):
        empty.back_up(folder)
    assert backup.read(folder) == first
    there = store.connect(f"sqlite:///{tmp_path}/new/attnlib.sqlite3", home=tmp_path / "new")
    there.fill(folder)
    assert len(there.open(ADA, id).files) == 4
    there.close()


def test_nothing_is_restored_from_a_backup_that_is_not_whole(
    empty: Store, other: Callable[[], Store], tmp_path: Path
) -> None:
    folder, there = tmp_path / "backup", other()
    with pytest.raises(StoreError, match="no finished backup"):
        there.fill(folder)
    _fill(empty)
    empty.back_up(folder)
    (path,) = (folder / "blobs").rglob(sha256(png(1)))
    for ruin in (lambda: path.write_bytes(b"rotten"), path.unlink):
        ruin()
        with pytest.raises(StoreError, match=f"1 of 4 files.*{sha256(png(1))}"):
            there.fill(folder)
        assert there.workspaces(ADA) == []
    FolderBlobs(folder / "blobs").put(sha256(png(1)), png(1))
    there.fill(folder)
    assert len(there.workspaces(ADA)) == 1
    with pytest.raises(StoreError, match="workspaces in the database already"):
        there.fill(folder)
    assert len(there.workspaces(ADA)) == 1


def test_only_one_backup_at_a_time_and_only_into_a_folder_of_its_own(
    empty: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with (
        backup._alone(folder),
        pytest.raises(StoreError, match="Another backup is being written"),
    ):
        empty.back_up(folder)
    with pytest.raises(StoreError, match="no finished backup"):
        backup.read(folder)
    empty.back_up(folder)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="neither empty nor a backup"):
        empty.back_up(tmp_path / "taken")
    with pytest.raises(StoreError, match="neither empty nor a backup"):
        empty.back_up(tmp_path)  # the store's own home


def test_from_the_shell(
    database: str,
    tmp_path: Path,
    setting: Callable[..., object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    setting(database_url=database, home=tmp_path)
    kept = store.connect()
    id = _fill(kept)
    folder = str(tmp_path / "backup")
    assert main(["backup", folder]) == 0
    assert "workspaces: 1, files: 4" in capsys.readouterr().out
    assert main(["restore", folder]) == 2
    assert "restore into an empty one" in capsys.readouterr().err
    setting(database_url="", home=tmp_path / "new")
    assert main(["restore", folder]) == 0
    restored = store.connect()
    assert _bytes(restored, restored.open(ADA, id)) == _bytes(kept, kept.open(ADA, id))
    setting(database_url=database, home=tmp_path)
    (tmp_path / "blobs" / sha256(png(1))[:2] / sha256(png(1))).unlink()
    assert main(["backup", str(tmp_path / "second")]) == 2
    assert "damaged in the store: 1, the first" in capsys.readouterr().err
    kept.close()
    restored.close()
