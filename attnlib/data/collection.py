"""Many uploaded files, folders and zips at once: samples to keep, tables, and refusals."""

import io
import posixpath
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Final

from attnlib.data import image
from attnlib.data.paths import (
    ANNOTATION_ENDINGS,
    IMAGE_ENDINGS,
    TABLE_ENDINGS,
    clean,
    is_junk,
    is_text,
)
from attnlib.errors import ImageError

# What one page can list and one session can hold.
MAX_SAMPLES: Final = 5000
MAX_COLLECTION_BYTES: Final = 2**30
# The same for one zip, counted while it is unpacked: its own header may say anything.
MAX_MEMBERS: Final = 5000
MAX_TOTAL: Final = 2**30
# zipfile keeps about 500 bytes of objects for each entry, before any member can be looked at;
# macOS writes a second, hidden entry beside each file, and folders are entries too.
MAX_ZIP_ENTRIES: Final = 4 * MAX_MEMBERS

_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_ZIP_ENTRY = b"PK\x01\x02"
# What one member with a bad checksum can unpack without being charged for it.
_CHUNK = 2**16
_UNSAFE = "The path leads outside its folder: rename the file."
_NESTED = "A zip inside a zip is not opened: upload it by itself."
_TOO_LARGE = f"The file is too large: the limit is {image.MAX_BYTES // 2**20} MiB."


@dataclass(frozen=True)
class Sample:
    """One image file, not yet decoded.

    ``name`` is unique in its collection: a path with ``/``, relative to what was uploaded.
    ``label`` is the folder's name. ``note`` is for the person on screen.
    """

    name: str
    data: bytes
    sha256: str
    label: str | None
    note: str = ""


@dataclass(frozen=True)
class Refusal:
    """A file that was not taken, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Collection:
    """Everything that came of one upload, as (name, bytes): tables are CSV, annotations JSON."""

    samples: tuple[Sample, ...]
    refusals: tuple[Refusal, ...]
    tables: tuple[tuple[str, bytes], ...] = ()
    annotations: tuple[tuple[str, bytes], ...] = ()


Item = tuple[str, bytes] | Refusal


def collect(files: Iterable[tuple[str, bytes]]) -> Collection:
    """Sort (name or relative path, bytes) into samples, tables and refusals; never raises on them.

    Zips are opened as folder trees. An image's label is the folder it lies in, except for the
    deepest folder that holds all images of the upload (or of the zip): that one is a container.
    So images that all lie in one folder have no label. System files and hidden files are skipped.
    A repeated file is kept once; the same content under two names twice, with a note; and another
    content under a name already taken is kept as ``name (2).ext``, with a note.
    """
    shelf = _Shelf()
    for tree, (name, data) in enumerate(files, start=1):
        if name.lower().endswith(".zip") or data.startswith(_ZIP_MAGICS):
            for item in _unpack(name, data, shelf):
                shelf.put(item, tree)
        elif loose := _inspect(name, data):
            shelf.put(loose, tree=0)
    return shelf.collection()


@dataclass
class _Shelf:
    """What has been collected so far. ``tree`` numbers the zips; 0 is every file outside them."""

    samples: dict[str, tuple[Sample, int]] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    tables: list[tuple[str, bytes]] = field(default_factory=list)
    annotations: list[tuple[str, bytes]] = field(default_factory=list)
    folders: dict[int, set[str]] = field(default_factory=dict)
    size: int = 0
    seen: set[tuple[str, str]] = field(default_factory=set)
    first_name: dict[str, str] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)

    def full(self, more: int = 0) -> str:
        """Why ``more`` bytes cannot be taken any longer; empty while they can."""
        if len(self.samples) + len(self.tables) + len(self.annotations) >= MAX_SAMPLES:
            return f"More than {MAX_SAMPLES} files: upload fewer at once."
        if self.size + more > MAX_COLLECTION_BYTES:
            return f"More than {MAX_COLLECTION_BYTES // 2**20} MiB in all: upload less at once."
        return ""

    def put(self, item: Item, tree: int) -> None:
        if isinstance(item, Refusal):
            self.refusals.append(item)
            # One broken image must not change what the others' folders mean.
            if item.name.lower().endswith(IMAGE_ENDINGS) and (path := clean(item.name)):
                self._see_folder(path, tree)
            return
        name, data = item
        if not is_text(name):
            self._see_folder(name, tree)
        digest = image.sha256(data)
        if (name, digest) in self.seen:
            return
        if reason := self.full(len(data)):
            self.refusals.append(Refusal(name, reason))
            return
        self.seen.add((name, digest))
        self.size += len(data)
        if name.lower().endswith(TABLE_ENDINGS):
            self.tables.append((name, data))
        elif name.lower().endswith(ANNOTATION_ENDINGS):
            self.annotations.append((name, data))
        else:
            self._add(name, data, digest, tree)

    def _add(self, name: str, data: bytes, digest: str, tree: int) -> None:
        unique, note = self._unique(name), ""
        if unique != name:
            note = f"Renamed: another file is called {name}."
        elif digest in self.first_name:
            note = f"The same content as {self.first_name[digest]}."
        self.first_name.setdefault(digest, unique)
        self.samples[unique] = (Sample(unique, data, digest, None, note), tree)

    def _unique(self, name: str) -> str:
        unique, (stem, ending) = name, posixpath.splitext(name)
        while unique in self.samples:
            self.copies[name] = self.copies.get(name, 1) + 1
            unique = f"{stem} ({self.copies[name]}){ending}"
        return unique

    def _see_folder(self, path: str, tree: int) -> None:
        self.folders.setdefault(tree, set()).add(posixpath.dirname(path))

    def collection(self) -> Collection:
        roots = {tree: posixpath.commonpath(paths) for tree, paths in self.folders.items()}
        samples = []
        for name, (sample, tree) in self.samples.items():
            folder = posixpath.dirname(name)
            label = posixpath.basename(folder) if folder != roots[tree] else None
            samples.append(replace(sample, label=label))
        return Collection(
            tuple(samples), tuple(self.refusals), tuple(self.tables), tuple(self.annotations)
        )


def _inspect(name: str, data: bytes) -> Item | None:
    """The file under its clean name, its refusal, or None for a file to skip silently."""
    path = clean(name)
    if path is None:
        return Refusal(name, _UNSAFE)
    if is_junk(path):
        return None
    if not is_text(path):
        try:
            image.check(data)
        except ImageError as error:
            return Refusal(path, str(error))
    return path, data


def _unpack(zip_name: str, data: bytes, shelf: _Shelf) -> Iterator[Item]:
    """The members of a zip, each as ``_inspect`` gives it; nothing more is read once it is full."""
    if data.count(_ZIP_ENTRY) > MAX_ZIP_ENTRIES:
        yield Refusal(zip_name, f"The zip has more than {MAX_ZIP_ENTRIES} entries: split it.")
        return
    try:
        archive = _open_zip(data)
    except Exception:  # zipfile raises many built-in exceptions on hostile bytes
        yield Refusal(zip_name, "The zip is corrupt or not a zip: make or download it again.")
        return
    members = [
        (info, path)
        for info in archive.infolist()
        if not info.filename.endswith("/")  # is_dir() fails on an empty name
        and ((path := clean(info.filename)) is None or not is_junk(path))
    ]
    if not members:
        yield Refusal(zip_name, "The zip holds no files.")
    if len(members) > MAX_MEMBERS:
        yield Refusal(
            zip_name,
            f"The zip holds {len(members)} files, and the limit is {MAX_MEMBERS}: split it.",
        )
        return
    budget = _Budget(MAX_TOTAL)
    item: Item | None
    for index, (info, path) in enumerate(members):
        if path is None:
            yield Refusal(info.filename, _UNSAFE)
            continue
        if reason := _refused(info) or shelf.full():
            yield Refusal(path, reason)
            continue
        try:
            item = _inspect(path, _read(archive, info, path, budget))
        except ImageError as error:
            item = Refusal(path, str(error))
        except _Exhausted:
            yield Refusal(
                zip_name,
                f"The zip unpacks to more than {MAX_TOTAL // 2**20} MiB: "
                f"its last {len(members) - index} files were not read.",
            )
            return
        except Exception:  # as above, and a wrong checksum
            item = Refusal(path, "This member of the zip is corrupt: make the zip again.")
        if item:
            yield item


def _open_zip(data: bytes) -> zipfile.ZipFile:
    try:
        # macOS writes UTF-8 names without the flag that says so.
        return zipfile.ZipFile(io.BytesIO(data), metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(io.BytesIO(data))


def _refused(info: zipfile.ZipInfo) -> str:
    """Why a member is not read at all; empty if it is."""
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "A symbolic link or special file in a zip is not followed."
    if info.flag_bits & 1:
        return "The member is encrypted: make the zip without a password."
    if info.file_size > image.MAX_BYTES:
        return _TOO_LARGE
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # An LZMA header alone can ask for 4 GiB.
        return "The compression method is not supported: make the zip with standard settings."
    return ""


class _Exhausted(Exception):
    """A zip has been unpacked up to its limit."""


@dataclass
class _Budget:
    """How many bytes may still be unpacked from one zip, whatever its header says."""

    left: int

    def read(self, stream: IO[bytes], size: int) -> bytes:
        """At most ``size`` bytes, charged as they come, so that a corrupt member is charged too."""
        chunks: list[bytes] = []
        while size > 0 and (chunk := stream.read(min(size, _CHUNK))):
            size -= len(chunk)
            self.left -= len(chunk)
            if self.left < 0:
                raise _Exhausted
            chunks.append(chunk)
        return b"".join(chunks)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, budget: _Budget) -> bytes:
    with archive.open(info) as stream:
        head = budget.read(stream, image.HEAD_BYTES)
        if head.startswith(_ZIP_MAGICS):
            raise ImageError(_NESTED)
        if not is_text(path):
            image.sniff(head)  # refuse what is no image before unpacking the rest
        rest = budget.read(stream, image.MAX_BYTES + 1 - len(head))
    if len(head) + len(rest) > image.MAX_BYTES:
        raise ImageError(_TOO_LARGE)
    return head + rest
