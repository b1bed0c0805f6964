"""Deleting and adding the same content at once never loses it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest
from sqlalchemy import text

from attnlib.store import Store
from attnlib.store.blobs import FolderBlobs

from .making import ADA, new, png, sha256, stored


def _reads(store: Store, id: str) -> list[bytes]:
    return [file.opened.items[0][1].read() for file in store.open(ADA, id).files]


def test_whoever_adds_between_the_file_and_the_row_has_it_again(
    connect: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: B has found the file there, then A deletes it, then B refers to it."""
    a, b, one, two = connect(), connect(), new(), new()
    for id in (one, two):
        a.create(ADA, id, "W")
    a.add_files(ADA, one, [stored("x.png", png(1))])
    found, deleted, put = Event(), Event(), FolderBlobs.put

    def pause(self: FolderBlobs, sha: str, data: bytes) -> None:
        put(self, sha, data)
        if not found.is_set():
            found.set()
            assert deleted.wait(30)

    monkeypatch.setattr(FolderBlobs, "put", pause)
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(b.add_files, ADA, two, [stored("y.png", png(1))])
        assert found.wait(30)
        a.delete(ADA, one)
        deleted.set()
        adding.result(30)
    assert _reads(a, two) == [png(1)]


def test_whoever_adds_while_a_file_is_being_deleted_waits_for_it(
    connect: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A has counted no reference and is about to delete the file when B comes."""
    a, b, one, two = connect(), connect(), new(), new()
    for id in (one, two):
        a.create(ADA, id, "W")
    a.add_files(ADA, one, [stored("x.png", png(1))])
    counted, came, delete = Event(), Event(), FolderBlobs.delete

    def slow(self: FolderBlobs, sha: str) -> None:
        counted.set()
        came.wait(0.5)  # B cannot come this far: it waits for the row
        delete(self, sha)

    monkeypatch.setattr(FolderBlobs, "delete", slow)
    with ThreadPoolExecutor(2) as pool:
        deleting = pool.submit(a.delete, ADA, one)
        assert counted.wait(30)
        adding = pool.submit(b.add_files, ADA, two, [stored("y.png", png(1))])
        adding.result(30)
        came.set()
        deleting.result(30)
    assert _reads(a, two) == [png(1)]


def test_many_who_add_copy_and_delete_the_same_images_lose_none(
    connect: Callable[[], Store],
) -> None:
    images, people, rounds = [png(i) for i in range(3)], 4, 8
    stores, barrier, source = [connect() for _ in range(people)], Barrier(people), new()
    stores[0].create(ADA, source, "source")

    def work(place: int) -> str:
        store = stores[place]
        barrier.wait()
        for turn in range(rounds):
            id, copy = new(), new()
            store.create(ADA, id, "W")
            store.add_files(ADA, id, [stored(f"{i}.png", image) for i, image in enumerate(images)])
            assert _reads(store, id) == images
            store.duplicate(ADA, id, copy, "copy")
            store.delete(ADA, id)
            assert _reads(store, copy) == images
            if turn < rounds - 1:
                store.delete(ADA, copy)
        return copy

    with ThreadPoolExecutor(people) as pool:
        left = list(pool.map(work, range(people)))
    for id in left:
        assert _reads(stores[0], id) == images
        stores[0].delete(ADA, id)


def test_sweeping_takes_only_what_is_old_and_unused(
    connect: Callable[[], Store], tmp_path: Path
) -> None:
    store, id = connect(), new()
    store.create(ADA, id, "W")
    store.add_files(ADA, id, [stored("used.png", png(1))])
    blobs = FolderBlobs(tmp_path / "blobs")
    orphan, young, row = b"orphan", b"young", b"row"
    for data in (orphan, young, row):
        blobs.put(sha256(data), data)
    past = int((time.time() - 7200) * 1e6)
    with store._database._writer.begin() as transaction:
        for data in (row, b"row without file"):
            values = {"key": sha256(data), "past": past}
            transaction.execute(text("INSERT INTO blob VALUES (:key, 3, :past)"), values)
        transaction.execute(
            text("UPDATE blob SET added = :past WHERE sha256 = :key"),
            {"past": past, "key": sha256(png(1))},
        )
    for path in (tmp_path / "blobs").rglob("*"):
        if path.is_file() and path.name != sha256(young):
            os.utime(path, (time.time() - 7200,) * 2)
    assert store.sweep() == 3  # the orphan, the row with its file, the row without
    assert blobs.missing(map(sha256, (orphan, row))) == {sha256(orphan), sha256(row)}
    assert not blobs.missing([sha256(young), sha256(png(1))])
    assert _reads(store, id) == [png(1)]
    assert store.sweep() == 0


def test_what_could_not_be_deleted_is_left_to_the_sweep(
    connect: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, id = connect(), new()
    store.create(ADA, id, "W")
    store.add_files(ADA, id, [stored("a.png", png(1))])
    with monkeypatch.context() as patch:
        patch.setattr(FolderBlobs, "delete", lambda *_: (_ for _ in ()).throw(OSError(5, "no")))
        store.delete(ADA, id)  # the workspace is gone, whatever becomes of its files
    (path,) = (tmp_path / "blobs").rglob(sha256(png(1)))
    assert store.workspaces(ADA) == []
    with store._database._writer.begin() as transaction:
        transaction.execute(text("UPDATE blob SET added = 0"))
    assert store.sweep() == 1
    assert not path.exists()
