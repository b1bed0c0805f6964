"""The database goes and comes back, disks are full: sentences, and it works again afterwards."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest
from sqlalchemy import Connection

from attnlib import store
from attnlib.store import Case, StoreError
from attnlib.store.blobs import FolderBlobs

from . import forking, postgres
from .making import ADA, new, png, said, stored

AGAIN = "confirmed as saved is safe"


def test_a_server_that_dies_and_comes_back(server: postgres.Server, tmp_path: Path) -> None:
    kept, id = store.connect(server.database(), home=tmp_path), new()
    kept.create(ADA, id, "W")
    case = kept.say(ADA, id, "x", said(), said("before")).case
    server.kill()
    try:
        for _ in range(2):
            with pytest.raises(StoreError, match=f"cannot be reached.*{AGAIN}"):
                kept.say(ADA, id, "x", case, said("during"))
            with pytest.raises(StoreError, match="cannot be reached"):
                kept.ready()
    finally:
        server.start()
    kept.ready()
    assert kept.open(ADA, id).cases == {"x": case}
    assert kept.say(ADA, id, "x", case, said("after")).case.version == 2


def test_a_server_that_ends_a_connection_in_the_middle(
    server: postgres.Server, tmp_path: Path
) -> None:
    import psycopg

    url = server.database()
    kept, id = store.connect(url, home=tmp_path), new()
    kept.create(ADA, id, "W")

    def cut(transaction: object) -> None:
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        transaction.exec_driver_sql("SELECT 1")  # type: ignore[attr-defined]

    with pytest.raises(StoreError, match="cannot be reached"):
        kept._database.write(cut)
    assert kept.head(ADA, id).name == "W"


def test_a_database_file_that_goes_and_comes_back(tmp_path: Path) -> None:
    kept, id = store.connect(home=tmp_path / "home"), new()
    kept.create(ADA, id, "W")
    (tmp_path / "home").rename(tmp_path / "away")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot be (reached|used)"):
            kept.create(ADA, new(), "lost")
    # Somebody mounts an empty disk there: nothing is written into it as if it were the store.
    (tmp_path / "home").mkdir()
    with pytest.raises(StoreError, match=r"cannot be (reached|used)"):
        kept.create(ADA, new(), "lost")
    assert list((tmp_path / "home").iterdir()) == []
    (tmp_path / "home").rmdir()
    (tmp_path / "away").rename(tmp_path / "home")
    kept.create(ADA, new(), "second")
    assert {head.name for head in kept.workspaces(ADA)} == {"W", "second"}


def test_a_file_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    """A copy was put back: what is written goes into it, and not into the file that was there."""
    kept, id = store.connect(home=tmp_path), new()
    kept.create(ADA, id, "W")
    kept.close()
    file = tmp_path / "attnlib.sqlite3"
    copy = file.read_bytes()
    kept.create(ADA, new(), "after the copy")
    for left in tmp_path.glob("attnlib.sqlite3-*"):
        left.unlink()
    (tmp_path / "new").write_bytes(copy)
    os.replace(tmp_path / "new", file)
    kept.create(ADA, new(), "into the copy")
    assert {h.name for h in store.connect(home=tmp_path).workspaces(ADA)} == {
        "W",
        "into the copy",
    }


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_for_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    kept, id, file = store.connect(home=tmp_path), new(), stored("a.png", png(1))
    kept.create(ADA, id, "W")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(code, "full")))
        with pytest.raises(StoreError, match=f"disk is full.*free some space.*{AGAIN}"):
            kept.add_files(ADA, id, [file])
    assert kept.head(ADA, id).revision == 1
    assert list((tmp_path / "blobs" / "unfinished").iterdir()) == []
    kept.add_files(ADA, id, [file])
    assert kept.open(ADA, id).files[0].opened.items[0][1].read() == png(1)


def test_a_full_disk_for_the_database(tmp_path: Path) -> None:
    """A process that may write no file larger than so many bytes: what it meets is a full disk."""
    kept, id = store.connect(home=tmp_path), new()
    kept.create(ADA, id, "W")
    kept.close()

    def fill() -> tuple[int, str, int]:
        kept, case, sentence = store.connect(home=tmp_path), Case(), ""
        # Python ignores the signal that the system sends first.
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        for turn in range(100):
            try:
                case = kept.say(ADA, id, "x", case, said(f"{turn} " + "n" * 20_000)).case
            except StoreError as error:
                sentence = str(error)
                break
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        return case.version, sentence, kept.say(ADA, id, "x", case, said("room")).case.version

    (answer,) = forking.answers(fill, ())
    confirmed, sentence, after = answer
    assert "disk is full or failing: free some space" in sentence and AGAIN in sentence
    assert 3 < confirmed < 100 and after == confirmed + 1
    versions = store.connect(home=tmp_path).history(ADA, id, "x")
    assert [v.remark.note.split(" ")[0] for v in versions] == [
        *map(str, range(confirmed)),
        "room",
    ]


def test_sqlite_forces_every_confirmation_to_disk(tmp_path: Path) -> None:
    def pragmas(transaction: Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "foreign_keys")
        return [transaction.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    kept = store.connect(home=tmp_path)
    assert kept._database.write(pragmas) == [2, "wal", 1]  # 2 is FULL


def test_a_damaged_database_is_a_sentence(tmp_path: Path) -> None:
    kept = store.connect(home=tmp_path)
    kept.create(ADA, new(), "W")
    kept.close()
    (tmp_path / "attnlib.sqlite3").write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError, match=r"damaged.*put back a copy"):
        store.connect(home=tmp_path)


def test_what_is_not_there_or_not_allowed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, words in (
        ("postgresql://nobody@127.0.0.1:1/x", "cannot be reached"),
        ("mysql://x/y", "not supported"),
        ("sqlite://", "not supported"),
        ("no url", "none: write postgresql://"),
        ("postgresql://u:secret@host:port/x", "none: write postgresql://"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            store.connect(url, home=tmp_path)
        assert "secret" not in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be used .*see to it"):
        store.connect(home=tmp_path / "file" / "home")
    with pytest.raises(StoreError, match=r"cannot be used .*see to it"):
        FolderBlobs(tmp_path / "file")
    monkeypatch.setattr("attnlib.store.connection.find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"pip install 'attnlib\[postgres\]'"):
        store.connect("postgresql://x@127.0.0.1/y", home=tmp_path)
