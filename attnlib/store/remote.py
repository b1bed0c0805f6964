"""Contents in any store that fsspec reaches by URL, such as an S3-compatible one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import fsspec

from attnlib.errors import StoreError
from attnlib.store.blobs import gone, verified
from attnlib.store.failures import AGAIN

T = TypeVar("T")

# One question takes some 10 ms; a thousand are not asked one after the other.
_AT_ONCE = 16


class RemoteBlobs:
    """Contents as objects ``<url>/ab/abcd…``.

    An S3-compatible store shows an object whole or not at all; what another one leaves half
    written is found out when it is read, and mended when the same content is added again.
    """

    def __init__(self, url: str) -> None:
        """
        Args:
            url: ``s3://bucket/prefix``, ``memory://…``, or any other that fsspec knows.

        Raises:
            StoreError: the URL is none, or its driver is not installed.
        """
        self._url, mark, _ = url.partition("://")
        if not self._url or not mark:
            raise StoreError("The URL of the images' store is none: write s3://bucket/folder.")
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise StoreError(
                f"{self._url}:// needs another package ({error}). For s3:// run "
                "pip install 'attnlib[s3]'."
            ) from error
        except Exception as error:
            raise StoreError(f"The URL of the images' store cannot be used: {error}.") from error

    def put(self, sha256: str, data: bytes) -> None:
        verified(data, sha256, "this upload")
        path = self._path(sha256)

        def write() -> None:
            try:
                if self._files.cat_file(path) == data:
                    return
            except FileNotFoundError:
                pass
            self._files.pipe_file(path, data)

        self._told(write)

    def get(self, sha256: str, what: str) -> bytes:
        def read() -> bytes | None:
            try:
                data: bytes = self._files.cat_file(self._path(sha256))
            except FileNotFoundError:
                return None
            return data

        data = self._told(read)
        if data is None:
            raise gone(what)
        return verified(data, sha256, what)

    def missing(self, sha256s: Iterable[str]) -> set[str]:
        def look(sha256: str) -> str | None:
            return None if self._files.exists(self._path(sha256)) else sha256

        def all_of_them() -> set[str]:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return {sha256 for sha256 in pool.map(look, sha256s) if sha256 is not None}

        return self._told(all_of_them)

    def delete(self, sha256: str) -> None:
        def remove() -> None:
            with suppress(FileNotFoundError):
                self._files.rm_file(self._path(sha256))

        self._told(remove)

    def older(self, seconds: float) -> Iterator[str]:
        before = time.time() - seconds
        found: dict[str, dict[str, Any]] = self._told(
            lambda: self._files.find(self._root, detail=True)
        )
        for path, details in found.items():
            if _written(details) < before:
                yield path.rsplit("/", 1)[-1]

    def ready(self) -> None:
        self._told(lambda: self._files.exists(self._path("0" * 64)))

    def _path(self, sha256: str) -> str:
        return f"{self._root.rstrip('/')}/{sha256[:2]}/{sha256}"

    def _told(self, work: Callable[[], T]) -> T:
        """Whatever the driver raises, as StoreError: each has errors of its own."""
        try:
            return work()
        except StoreError:
            raise
        except Exception as error:
            raise StoreError(
                f"The store of images ({self._url}) cannot be used "
                f"({type(error).__name__}: {str(error)[:200]}). {AGAIN}"
            ) from error


def _written(details: dict[str, Any]) -> float:
    """Seconds since 1970; now, where the store does not say: then it is never old."""
    moment = details.get("LastModified") or details.get("mtime") or details.get("created")
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment) if isinstance(moment, int | float) else time.time()
