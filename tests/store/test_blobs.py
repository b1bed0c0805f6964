"""Contents on disk and in an S3-compatible store: whole, verified, mended."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from attnlib import store
from attnlib.errors import AttnlibError
from attnlib.store import StoreError
from attnlib.store.blobs import Blobs, FolderBlobs
from attnlib.store.remote import RemoteBlobs

from .making import ADA, new, png, sha256, stored

DATA, NAME = b"some bytes" * 100, "cats/tom.png"


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """An S3-compatible server on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
        yield
    server.stop()


@pytest.fixture(params=["folder", "memory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path / "blobs")
    if request.param == "memory":
        return RemoteBlobs(f"memory://{new()}")
    request.getfixturevalue("s3")
    return RemoteBlobs(f"s3://bucket/{new()}")


def test_what_is_put_is_read_back_until_it_is_deleted(blobs: Blobs) -> None:
    key = sha256(DATA)
    blobs.ready()
    assert blobs.missing([key]) == {key}
    with pytest.raises(StoreError, match=rf"{NAME} is missing.*Add the original again"):
        blobs.get(key, NAME)
    blobs.put(key, DATA)
    blobs.put(key, DATA)
    assert blobs.get(key, NAME) == DATA
    assert blobs.missing([key, "0" * 64]) == {"0" * 64}
    assert list(blobs.older(3600)) == []
    assert list(blobs.older(-60)) == [key]
    blobs.delete(key)
    blobs.delete(key)
    assert blobs.missing([key]) == {key}


def test_other_bytes_than_the_hash_says_are_not_taken(blobs: Blobs) -> None:
    with pytest.raises(StoreError):
        blobs.put(sha256(b"other"), DATA)
    assert blobs.missing([sha256(b"other")])


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA[:-1] + b"?"])
def test_damage_is_said_with_the_name_and_mended_by_the_original(
    tmp_path: Path, damage: bytes
) -> None:
    blobs, key = FolderBlobs(tmp_path), sha256(DATA)
    blobs.put(key, DATA)
    (path,) = tmp_path.glob(f"*/{key}")
    path.write_bytes(damage)
    with pytest.raises(StoreError, match=rf"{NAME} is damaged.*Add the original again"):
        blobs.get(key, NAME)
    blobs.put(key, DATA)
    assert blobs.get(key, NAME) == DATA


def test_damage_in_s3_is_found_and_mended(s3: None) -> None:
    import s3fs

    blobs, key = RemoteBlobs("s3://bucket/damaged"), sha256(DATA)
    blobs.put(key, DATA)
    s3fs.S3FileSystem().pipe_file(f"bucket/damaged/{key[:2]}/{key}", DATA[:-1])
    with pytest.raises(StoreError, match=rf"{NAME} is damaged"):
        blobs.get(key, NAME)
    blobs.put(key, DATA)
    assert blobs.get(key, NAME) == DATA


def test_a_workspace_lives_in_s3(s3: None, tmp_path: Path) -> None:
    kept, id, file = store.connect(home=tmp_path, blobs="s3://bucket/team"), new(), new()
    kept.create(ADA, id, "W")
    files = [stored(f"{i}.png", png(i)) for i in range(20)]
    kept.add_files(ADA, id, files)
    kept.close()
    again = store.connect(home=tmp_path, blobs="s3://bucket/team")
    assert [f.opened.items[0][1].read() for f in again.open(ADA, id).files] == [
        png(i) for i in range(20)
    ]
    again.ready()
    again.delete(ADA, id)
    blobs = RemoteBlobs("s3://bucket/team")
    assert len(blobs.missing([sha256(png(i)) for i in range(20)])) == 20
    assert file and not (tmp_path / "blobs").exists()


def test_a_store_that_is_gone_is_a_sentence_and_works_when_it_is_back(tmp_path: Path) -> None:
    kept, id, file = store.connect(home=tmp_path), new(), stored("a.png", png(1))
    kept.create(ADA, id, "W")
    kept.add_files(ADA, id, [file])
    (tmp_path / "blobs").rename(tmp_path / "away")
    content = kept.open(ADA, id).files[0].opened.items[0][1]
    for act in (
        content.read,
        kept.ready,
        lambda: kept.add_files(ADA, id, [stored("b.png", png(2))]),
    ):
        with pytest.raises(StoreError, match=r"[Ff]older"):
            act()
    (tmp_path / "away").rename(tmp_path / "blobs")
    kept.ready()
    assert content.read() == png(1)
    kept.add_files(ADA, id, [stored("b.png", png(2))])
    assert kept.head(ADA, id).images == 2


def test_an_s3_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    blobs = RemoteBlobs("s3://nowhere/x")
    with pytest.raises(StoreError, match=r"store of images .*s3.* cannot be used"):
        blobs.put(sha256(DATA), DATA)


@pytest.mark.parametrize("url", ["nonsense://x", "s3:/", "://"])
def test_a_url_that_is_none_is_a_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(AttnlibError, match=r"\.$"):
        store.connect(home=tmp_path, blobs=url).ready()


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    kept, id = store.connect(home=tmp_path, blobs=f"file://{tmp_path}/images"), new()
    kept.create(ADA, id, "W")
    kept.add_files(ADA, id, [stored("a.png", png(1))])
    assert list((tmp_path / "images").glob(f"*/{sha256(png(1))}"))


def test_half_written_files_are_swept_away_when_they_are_old(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    old, young = tmp_path / "unfinished" / "old", tmp_path / "unfinished" / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert list(blobs.older(3600)) == []
    assert young.exists() and not old.exists()


def test_a_file_is_never_half_there_under_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes and then the name are forced to disk, in this order."""
    blobs, key, order = FolderBlobs(tmp_path), sha256(DATA), []
    fsync, replace = os.fsync, os.replace

    def forced(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        order.append("folder" if path.is_dir() else f"file of {path.stat().st_size}")
        fsync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        order.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", forced)
    monkeypatch.setattr(os, "replace", renamed)
    blobs.put(key, DATA)
    assert order == [f"file of {len(DATA)}", "name", "folder"]
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(StoreError, match="disk is full"):
        blobs.put(sha256(b"x"), b"x")
    assert list((tmp_path / "unfinished").iterdir()) == []
