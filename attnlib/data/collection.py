"""Many uploaded files, folders and zips at once: samples to keep, tables, and refusals."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from attnlib.data import archive
from attnlib.data.archive import Item
from attnlib.data.archive import Refusal as Refusal
from attnlib.data.content import Content
from attnlib.data.paths import ANNOTATION_ENDINGS, IMAGE_ENDINGS, TABLE_ENDINGS, clean, is_text

# What one page can list and one session can hold.
MAX_SAMPLES: Final = 5000
MAX_COLLECTION_BYTES: Final = 2**30


@dataclass(frozen=True)
class Sample:
    """One image file, not yet decoded.

    ``name`` is unique in its collection: a path with ``/``, relative to what was uploaded.
    ``label`` is the folder's name. ``note`` is for the person on screen.
    """

    name: str
    content: Content | bytes
    sha256: str
    label: str | None
    note: str = ""

    @property
    def data(self) -> bytes:
        """The file's bytes; of a stored one they are read now.

        Raises:
            StoreError: they cannot be read.
        """
        return self.content if isinstance(self.content, bytes) else self.content.read()


@dataclass(frozen=True)
class Opened:
    """What came out of one uploaded file; it can be put into another collection unopened.

    Attributes:
        items: the file itself, or the members of a zip, and what was refused of them.
        zipped: whether it was a zip, whose folders are a tree of their own.
    """

    items: tuple[Item, ...]
    zipped: bool


@dataclass(frozen=True)
class Collection:
    """Everything that came of some files, as (name, bytes): tables are CSV, annotations JSON.

    ``opened`` is the same file by file: those that were there before, then the new ones.
    """

    samples: tuple[Sample, ...]
    refusals: tuple[Refusal, ...]
    tables: tuple[tuple[str, bytes], ...] = ()
    annotations: tuple[tuple[str, bytes], ...] = ()
    opened: tuple[Opened, ...] = field(default=(), compare=False)


def collect(files: Iterable[tuple[str, bytes]], before: Iterable[Opened] = ()) -> Collection:
    """Sort (name or relative path, bytes) into samples, tables and refusals; never raises on them.

    Zips are opened as folder trees. An image's label is the folder it lies in, except for the
    deepest folder that holds all images of the upload (or of the zip): that one is a container.
    So images that all lie in one folder have no label. System files and hidden files are skipped.
    A repeated file is kept once; the same content under two names twice, with a note; and another
    content under a name already taken is kept as ``name (2).ext``, with a note.

    Args:
        before: what was opened earlier and stays, as `Collection.opened` gives it.
    """
    shelf = _Shelf()
    for opened in before:
        shelf.put_again(opened)
    for name, data in files:
        shelf.open(name, data)
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
    opened: list[Opened] = field(default_factory=list)
    held: dict[str, Content] = field(default_factory=dict)

    def put_again(self, opened: Opened) -> None:
        """What was opened before, as it was."""
        self.opened.append(opened)
        tree = len(self.opened) if opened.zipped else 0
        for item in opened.items:
            self.put(item, tree)

    def open(self, name: str, data: bytes) -> None:
        """A new file."""
        zipped, items = archive.is_zip(name, data), []
        if zipped:
            for item in archive.unpack(name, data, self.full):
                items.append(self.put(item, tree=len(self.opened) + 1))
        elif loose := archive.inspect(name, data):
            items.append(self.put(loose, tree=0))
        self.opened.append(Opened(tuple(items), zipped))

    def full(self, more: int = 0) -> str:
        """Why ``more`` bytes cannot be taken any longer; empty while they can."""
        if len(self.samples) + len(self.tables) + len(self.annotations) >= MAX_SAMPLES:
            return f"More than {MAX_SAMPLES} files: upload fewer at once."
        if self.size + more > MAX_COLLECTION_BYTES:
            return f"More than {MAX_COLLECTION_BYTES // 2**20} MiB in all: upload less at once."
        return ""

    def put(self, item: Item, tree: int) -> Item:
        """Take it, or say why not; what is handed back holds no bytes that were refused."""
        if isinstance(item, Refusal):
            self.refusals.append(item)
            # One broken image must not change what the others' folders mean.
            if item.name.lower().endswith(IMAGE_ENDINGS) and (path := clean(item.name)):
                self._see_folder(path, tree)
            return item
        name, content = item
        if not is_text(name):
            self._see_folder(name, tree)
        digest = content.sha256
        # The same content a second time costs no memory.
        content = self.held.setdefault(digest, content)
        item = name, content
        if (name, digest) in self.seen:
            return item
        if reason := self.full(content.size):
            refusal = Refusal(name, reason)
            self.refusals.append(refusal)
            self.held.pop(digest)
            return refusal
        self.seen.add((name, digest))
        self.size += content.size
        if name.lower().endswith(TABLE_ENDINGS):
            self.tables.append((name, content.read()))
        elif name.lower().endswith(ANNOTATION_ENDINGS):
            self.annotations.append((name, content.read()))
        else:
            self._add(name, content, tree)
        return item

    def _add(self, name: str, content: Content, tree: int) -> None:
        unique, note = self._unique(name), ""
        if unique != name:
            note = f"Renamed: another file is called {name}."
        elif content.sha256 in self.first_name:
            note = f"The same content as {self.first_name[content.sha256]}."
        self.first_name.setdefault(content.sha256, unique)
        self.samples[unique] = (Sample(unique, content, content.sha256, None, note), tree)

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
            tuple(samples),
            tuple(self.refusals),
            tuple(self.tables),
            tuple(self.annotations),
            tuple(self.opened),
        )
