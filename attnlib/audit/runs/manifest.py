"""The folder of an audit: a manifest, the listing of its images, and a part for each shard.

The parts that are there are what is done; there is no other account of it.

    manifest.json        what was asked, of which model, with which versions
    listing.parquet      all images, a row group for each shard
    parts/00017.parquet  the rows of shard 17, written under another name and renamed
    said/4f….json        what people said of an image, see `said.py`
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from attnlib.data.sets import Entry
from attnlib.errors import AttnlibError, brief

MANIFEST, LISTING, PARTS = "manifest.json", "listing.parquet", "parts"
FORM = 1
# What rows depend on, of a model.
JUDGED = ("weights_sha256", "precision", "outputs", "preprocessing")
_LISTED = pa.schema(
    [
        ("name", pa.string()),
        ("label", pa.string()),
        ("file", pa.string()),
        ("place", pa.int64()),
        ("size", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """What an audit is of.

    Attributes:
        wanted: what was asked, as JSON.
        model: what was loaded, as JSON, with the SHA-256 of its weights.
        listing: SHA-256 of the images' names, labels, places and sizes.
        class_names: of the model.
        classes: the class that a label text means.
        images, shards: how many.
        versions: of the libraries that it was begun with.
    """

    wanted: dict[str, Any]
    model: dict[str, Any]
    listing: str
    class_names: tuple[str, ...]
    classes: dict[str, int]
    images: int
    shards: int
    versions: dict[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that it says."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def changes(self, other: Manifest) -> list[str]:
        """What another manifest has changed, of what rows depend on, in words."""
        found = []
        if self.listing != other.listing:
            more = f" ({self.images} images then, {other.images} now)"
            found.append("the source" + (more if self.images != other.images else ""))
        # Where its file lies may change.
        names = [k for k in JUDGED if self.model.get(k) != other.model.get(k)]
        if names:
            found.append("the model (" + ", ".join(n.replace("_", " ") for n in names) + ")")
        names = [k for k in self.wanted if self.wanted[k] != other.wanted.get(k) and k != "source"]
        if names:
            found.append("what is asked (" + ", ".join(n.replace("_", " ") for n in names) + ")")
        if self.class_names != other.class_names:
            found.append("the class names")
        return found


@dataclass(frozen=True)
class Folder:
    """The folder of one audit, of any fsspec file system."""

    url: str

    @property
    def _system(self) -> tuple[Any, str]:
        try:
            system, path = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise AttnlibError(f"{self.url} cannot be opened: {brief(error)}.") from error
        return system, path.rstrip("/")

    def manifest(self) -> Manifest | None:
        """What is there; None where no audit was begun.

        Raises:
            AttnlibError: it cannot be read, or is of a later version.
        """
        system, path = self._system
        try:
            with system.open(f"{path}/{MANIFEST}", "rb") as file:
                said = json.loads(file.read())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise AttnlibError(f"{path}/{MANIFEST} cannot be read: {brief(error)}.") from error
        if not isinstance(said, dict) or said.get("form") != FORM:
            raise AttnlibError(f"{path}/{MANIFEST} is of another version of attnlib.")
        try:
            del said["form"]
            return Manifest(**{**said, "class_names": tuple(said["class_names"])})
        except (TypeError, KeyError) as error:
            raise AttnlibError(f"{path}/{MANIFEST} is damaged: {brief(error)}.") from error

    def begin(self, manifest: Manifest, entries: Sequence[Entry], shard_size: int) -> None:
        """Write the listing, then the manifest: an audit whose manifest is there can be run."""
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, _LISTED) as writer:
            for start in range(0, len(entries), shard_size):
                part = entries[start : start + shard_size]
                rows = [{f.name: getattr(one, f.name) for f in _LISTED} for one in part]
                writer.write_table(pa.Table.from_pylist(rows, _LISTED))
        self.put(LISTING, sink.getvalue().to_pybytes())
        said = {"form": FORM, **asdict(manifest), "class_names": list(manifest.class_names)}
        self.put(MANIFEST, json.dumps(said, ensure_ascii=False, indent=1).encode())

    def entries(self, shard: int) -> list[Entry]:
        """The images of a shard."""
        system, path = self._system
        with system.open(f"{path}/{LISTING}", "rb") as file:
            table = pq.ParquetFile(file).read_row_group(shard)
        return [Entry(**row) for row in table.to_pylist()]

    def done(self) -> set[int]:
        """The shards whose part is there."""
        system, path = self._system
        if not system.exists(f"{path}/{PARTS}"):
            return set()
        system.invalidate_cache()
        names = [one.rsplit("/", 1)[-1] for one in system.ls(f"{path}/{PARTS}", detail=False)]
        return {int(n[:-8]) for n in names if n.endswith(".parquet") and n[:-8].isdigit()}

    def write(self, shard: int, rows: pa.Table) -> None:
        """A part, under a name of its own and then renamed: it is there whole or not at all."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        self.put(f"{PARTS}/{shard:05d}.parquet", sink.getvalue().to_pybytes())

    def parts(self) -> Iterator[str]:
        """Paths of the parts, in order, as pyarrow and fsspec open them."""
        system, path = self._system
        for shard in sorted(self.done()):
            yield system.unstrip_protocol(f"{path}/{PARTS}/{shard:05d}.parquet")

    def part(self, shard: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a shard."""
        system, path = self._system
        with system.open(f"{path}/{PARTS}/{shard:05d}.parquet", "rb") as file:
            return pq.read_table(file, columns=None if columns is None else list(columns))

    def files(self, place: str) -> dict[str, str]:
        """The files of a folder in it by name, each with a text that changes when it does."""
        system, path = self._system
        if not system.exists(f"{path}/{place}"):
            return {}
        system.invalidate_cache()
        found = {}
        for one in system.ls(f"{path}/{place}", detail=True):
            stamp = [one.get(k) for k in ("size", "mtime", "ino", "ETag", "etag", "LastModified")]
            found[str(one["name"]).rsplit("/", 1)[-1]] = repr(stamp)
        return found

    def get(self, name: str) -> bytes | None:
        """A file; None where it is not there (any longer).

        Raises:
            AttnlibError: it cannot be read.
        """
        system, path = self._system
        try:
            data: bytes = system.cat_file(f"{path}/{name}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AttnlibError(f"{path}/{name} cannot be read: {brief(error)}.") from error
        return data

    def tidy(self) -> None:
        """Remove what killed writers left under other names."""
        system, path = self._system
        for one in system.find(f"{path}/{PARTS}") if system.exists(f"{path}/{PARTS}") else []:
            if one.endswith(".tmp"):
                system.rm(one)

    def put(self, name: str, data: bytes) -> None:
        """A file, under a name of its own and then renamed.

        Raises:
            AttnlibError: it cannot be written.
        """
        system, path = self._system
        try:
            system.makedirs(f"{path}/{name}".rsplit("/", 1)[0], exist_ok=True)
            written = f"{path}/{name}.{uuid.uuid4().hex}.tmp"
            with system.open(written, "wb") as file:
                file.write(data)
                _on_disk(file)
            # On an object store this is a copy, whole or not there like any object.
            system.mv(written, f"{path}/{name}")
        except OSError as error:
            raise AttnlibError(f"{path}/{name} cannot be written: {brief(error)}.") from error


def _on_disk(file: Any) -> None:
    """Where it is a file of this machine, not in its memory alone."""
    try:
        file.flush()
        os.fsync(file.fileno())
    except (AttributeError, OSError):
        pass  # an object store has no such thing


def digest(entries: Sequence[Entry]) -> str:
    """SHA-256 of a listing."""
    found = hashlib.sha256()
    for one in entries:
        found.update(repr((one.name, one.label, one.file, one.place, one.size)).encode())
    return found.hexdigest()
