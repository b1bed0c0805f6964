"""Contents by their SHA-256: written whole or not at all, and verified when they are read."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from attnlib.errors import StoreError
from attnlib.store import failures


class Blobs(Protocol):
    """A place for contents. Every method raises StoreError where the place cannot be used."""

    def put(self, sha256: str, data: bytes) -> None:
        """Keep a content; safe on disk once this returns. One that is there and sound stays."""

    def get(self, sha256: str, what: str) -> bytes:
        """A content. Raises StoreError, naming ``what``, if it is gone or damaged."""

    def missing(self, sha256s: Iterable[str]) -> set[str]:
        """Those of them that are not there."""

    def delete(self, sha256: str) -> None:
        """Take a content away, if it is there."""

    def older(self, seconds: float) -> Iterator[str]:
        """The SHA-256 of every content that was put so long ago; half-written ones are deleted."""

    def ready(self) -> None:
        """Raises StoreError unless the place is there."""


def verified(data: bytes, sha256: str, what: str) -> bytes:
    """The bytes. Raises StoreError if they are not those that were stored."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(
            f"The stored file of {what} is damaged: its bytes are not those that were saved. "
            "Add the original again; everything else is as it was."
        )
    return data


def gone(what: str) -> StoreError:
    """What is said where the place is there and a content is not."""
    return StoreError(
        f"The stored file of {what} is missing: somebody took it out of the store's folder. "
        "Add the original again; everything else is as it was."
    )


class FolderBlobs:
    """Contents as files of one folder, ``ab/abcd…``. Raises StoreError if it cannot be made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        with failures.told():
            self._unfinished.mkdir(parents=True, exist_ok=True)
            # All at once, so that no image is ever in a folder whose own name is not safe yet.
            for first in range(256):
                (folder / f"{first:02x}").mkdir(exist_ok=True)
            _settle(folder)
            _settle(folder.parent)

    def put(self, sha256: str, data: bytes) -> None:
        verified(data, sha256, "this upload")
        path = self._path(sha256)
        with failures.told():
            if _sound(path, sha256):
                return
            unfinished = self._unfinished / uuid.uuid4().hex
            try:
                with open(unfinished, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
            _settle(path.parent)

    def get(self, sha256: str, what: str) -> bytes:
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            self.ready()
            raise gone(what) from error
        except OSError as error:
            raise StoreError(failures.disk(error, f"The stored file of {what}")) from error
        return verified(data, sha256, what)

    def missing(self, sha256s: Iterable[str]) -> set[str]:
        self.ready()
        return {sha256 for sha256 in sha256s if not self._path(sha256).is_file()}

    def delete(self, sha256: str) -> None:
        with failures.told():
            self._path(sha256).unlink(missing_ok=True)

    def older(self, seconds: float) -> Iterator[str]:
        before = time.time() - seconds
        with failures.told():
            for path in self._unfinished.iterdir():
                if _changed(path) < before:
                    path.unlink(missing_ok=True)
            for shelf in self._folder.iterdir():
                if shelf == self._unfinished or not shelf.is_dir():
                    continue
                yield from (path.name for path in shelf.iterdir() if _changed(path) < before)

    def ready(self) -> None:
        if not self._unfinished.is_dir():
            raise StoreError(
                f"The folder of stored images is not there: {self._folder}. Is its disk mounted? "
                f"{failures.AGAIN}"
            )

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def _sound(path: Path, sha256: str) -> bool:
    """Whether the content is there and undamaged: whoever adds an image again mends it."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except FileNotFoundError:
        return False


def _changed(path: Path) -> float:
    """When a file was written; now, for one that somebody deletes meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _settle(folder: Path) -> None:
    """The names in a folder are safe on disk once this returns."""
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
