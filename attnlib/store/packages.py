"""A file that claims to be an exported workspace, read without believing any of it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, insert

from attnlib.data import archive, image
from attnlib.data.archive import Item, Refusal
from attnlib.data.collection import Opened
from attnlib.data.content import Content
from attnlib.data.remarks import Remark
from attnlib.errors import AttnlibError, StoreError
from attnlib.store import cases, events, files, parquet, text, workspaces
from attnlib.store.blobs import Blobs
from attnlib.store.holding import hold
from attnlib.store.people import Person
from attnlib.store.records import Case, Comment, Head, Setup, StoredFile
from attnlib.store.tables import CASE, COMMENT, WORKSPACE
from attnlib.store.transfer import FORMAT, SCHEMAS, VERSION

# 10,000 images with their masks, ten times over.
MAX_ENTRIES: Final = 200_000
# Parsed JSON takes up to twenty times the room of its text.
MAX_JSON: Final = 16 * 2**20
MAX_TABLE: Final = 256 * 2**20
_ENTRY = b"PK\x01\x02"
_CHUNK = 2**20
_NONE = "This file is no workspace that attnlib exported"
_BROKEN = f"{_NONE}, or it was changed or cut off on its way: export it again"


@dataclass(frozen=True)
class Package:
    """What was in the file, checked. Contents lie in a temporary folder."""

    name: str
    setup: Setup
    files: tuple[StoredFile, ...]
    cases: tuple[tuple[str, Case], ...]
    comments: tuple[Comment, ...]
    contents: dict[str, Content]

    def store(
        self, transaction: Connection, blobs: Blobs, me: Person, new_id: str, name: str | None
    ) -> Head:
        """Make it a workspace; nothing if that was done before."""
        values = workspaces.new_row(me, new_id, name or self.name)
        if workspaces.already_made(transaction, me, new_id):
            return workspaces.head(transaction, me, new_id)
        values["model"] = text.json_object(self.setup.model, "The choice of the model")
        values["settings"] = text.json_object(self.setup.settings, "The settings")
        pictures = [row["picture"] for row in files.item_rows(new_id, self.files)]
        transaction.execute(insert(WORKSPACE).values(values | {"images": sum(pictures)}))
        hold(transaction, blobs, self.contents)
        files.write(transaction, new_id, self.files)
        files.attach(transaction, new_id, self.setup.attachments)
        if self.cases:
            rows = [cases.row(new_id, image, case) for image, case in self.cases]
            transaction.execute(insert(CASE), rows)
        if self.comments:
            transaction.execute(
                insert(COMMENT), [vars(c) | {"workspace": new_id} for c in self.comments]
            )
        events.add(transaction, me, "import", new_id, values["name"])
        return workspaces.head(transaction, me, new_id)


@contextmanager
def opened(source: BinaryIO, me: Person) -> Iterator[Package]:
    """The package in a file, while its contents are needed.

    Args:
        me: whoever imports it. What the file says that others wrote keeps their names, marked as
            imported unless an admin imports it.

    Raises:
        StoreError: it is no export, is damaged, or is of a newer version.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            package = _read(source, me, Path(folder))
        except AttnlibError as error:
            raise StoreError(str(error)) from error
        except Exception as error:  # zipfile and pyarrow raise many on hostile bytes
            raise StoreError(f"{_BROKEN}.") from error
        yield package


def _read(source: BinaryIO, me: Person, folder: Path) -> Package:
    size = _limited_entries(source)
    with zipfile.ZipFile(source) as package:
        known = {"workspace.json", *(f"{name}.parquet" for name in SCHEMAS)}
        for info in package.infolist():
            if info.filename not in known and not text.is_sha256(
                info.filename.removeprefix("blobs/")
            ):
                raise StoreError(f"{_NONE}: it holds a file that no export has.")
            if info.flag_bits & 1:
                raise StoreError(f"{_NONE}: it is encrypted.")
        described = _described(package)
        tables = {
            name: parquet.rows(_member(package, f"{name}.parquet", MAX_TABLE), schema)
            for name, schema in SCHEMAS.items()
        }
        attachments = _strings(described.get("attachments"))
        wanted = {*attachments.values(), *(r["sha256"] for r in tables["items"] if r["sha256"])}
        contents, left = {}, size
        for sha256 in sorted(map(text.digest, wanted)):
            contents[sha256] = _content(package, sha256, folder, left)
            # Entries that share their bytes would unpack to more than the file holds.
            left -= contents[sha256].size
        found = _files(described, tables["items"], contents)
        kept = {*attachments.values(), *files.contents(found)}
        return Package(
            text.name(_text(described.get("name"))),
            Setup(_object(described.get("model")), _object(described.get("settings")), attachments),
            found,
            tuple(_cases(tables["cases"], me)),
            tuple(_comments(tables["comments"], me)),
            {sha256: contents[sha256] for sha256 in kept},
        )


def _limited_entries(source: BinaryIO) -> int:
    """The size of the file. zipfile makes objects of every entry before one can be looked at."""
    source.seek(0)
    count, size, end = 0, 0, b""
    while chunk := source.read(_CHUNK):
        count += (end + chunk).count(_ENTRY)
        size, end = size + len(chunk), chunk[-3:]
    if count > MAX_ENTRIES:
        raise StoreError(f"The file has more than {MAX_ENTRIES:,} entries: it is no export.")
    source.seek(0)
    return size


def _described(package: zipfile.ZipFile) -> dict[str, Any]:
    described = _object(json.loads(_member(package, "workspace.json", MAX_JSON)))
    if described.get("format") != FORMAT:
        raise StoreError(f"{_NONE}.")
    version = described.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoreError(f"{_BROKEN}.")
    if version > VERSION:
        raise StoreError(
            f"This workspace was exported by a newer version of attnlib (format {version}, and "
            f"this one reads up to {VERSION}): install that version."
        )
    return described


def _member(package: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = package.getinfo(name)
    except KeyError as error:
        raise StoreError(f"{_NONE}: {name} is not in it.") from error
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise StoreError(f"{_BROKEN}.")
    with package.open(info) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise StoreError(
            f"The {name} in it unpacks to more than {limit // 2**20} MiB: it is no export."
        )
    return data


def _content(package: zipfile.ZipFile, sha256: str, folder: Path, left: int) -> Content:
    try:
        info = package.getinfo(f"blobs/{sha256}")
    except KeyError as error:
        raise StoreError(f"{_BROKEN}: an image is missing.") from error
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > left:
        raise StoreError(f"{_BROKEN}.")
    path, seen, count = folder / sha256, hashlib.sha256(), 0
    with package.open(info) as stream, open(path, "xb") as file:
        while chunk := stream.read(_CHUNK):
            count += len(chunk)
            if count > left:
                raise StoreError(f"{_BROKEN}.")
            seen.update(chunk)
            file.write(chunk)
    if seen.hexdigest() != sha256:
        raise StoreError(f"{_BROKEN}: the bytes of an image are not those that were exported.")
    return Content(sha256, count, path.read_bytes)


def _files(
    described: dict[str, Any], rows: list[dict[str, Any]], contents: dict[str, Content]
) -> tuple[StoredFile, ...]:
    items: dict[str, list[tuple[int, Item]]] = {}
    for row in rows:
        items.setdefault(row["file"], []).append((row["place"], _item(row, contents)))
    found = []
    for entry in _list(described.get("files")):
        file = _object(entry)
        id, zipped = text.new_id(_text(file.get("id"))), file.get("zipped")
        if not isinstance(zipped, bool):
            raise StoreError(f"{_BROKEN}.")
        ordered = tuple(item for _, item in sorted(items.pop(id, []), key=lambda pair: pair[0]))
        found.append(StoredFile(id, _text(file.get("name")), Opened(ordered, zipped)))
    if items or len({file.id for file in found}) < len(found):
        raise StoreError(f"{_BROKEN}.")
    return tuple(found)


def _item(row: dict[str, Any], contents: dict[str, Content]) -> Item:
    """Judged again, as every upload is: its name and its first bytes may be anything."""
    if row["sha256"] is None:
        return Refusal(row["name"], row["reason"] or "")
    content = contents[row["sha256"]]
    if content.size > image.MAX_BYTES:
        return Refusal(row["name"], "The file is too large.")
    judged = archive.inspect(row["name"], content.read())
    if isinstance(judged, Refusal):
        return judged
    if judged is None:
        return Refusal(row["name"], "A hidden file or one of a system.")
    return judged[0], content


def _cases(rows: list[dict[str, Any]], me: Person) -> Iterator[tuple[str, Case]]:
    seen = set()
    for row in rows:
        key = text.key(row["image"], "The name of an image"), row["version"]
        if key in seen or row["version"] < 1:
            raise StoreError(f"{_BROKEN}.")
        seen.add(key)
        labels = None if row["labels"] is None else _texts(row["labels"])
        said = Case(Remark(_texts(row["tags"]), row["note"], row["should_be"]), labels)
        by, by_name = _author(me, row["by"], row["by_name"])
        said = cases.storable(said)
        yield key[0], Case(said.remark, said.labels, row["version"], by, by_name, row["at"])


def _comments(rows: list[dict[str, Any]], me: Person) -> Iterator[Comment]:
    seen = set()
    for row in rows:
        id = text.new_id(row["id"])
        if id in seen:
            raise StoreError(f"{_BROKEN}.")
        seen.add(id)
        said = text.limited(row["text"], "A comment", text.LONGEST_COMMENT)
        author, author_name = _author(me, row["author"], row["author_name"])
        name = text.key(row["image"], "The name of an image")
        yield Comment(id, name, author, author_name, said, row["at"])


def _author(me: Person, id: str, name: str) -> tuple[str, str]:
    """Anybody can write another's name into a file; admins are believed, as in the database."""
    id, name = text.storable(id), text.storable(name)
    if me.role == "admin" or id == me.id:
        return id, name
    return (
        f"imported|{id.removeprefix('imported|')}",
        f"{name.removesuffix(' (imported)')} (imported)",
    )


def _texts(said: str) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(json.loads(said)))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise StoreError(f"{_BROKEN}.")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise StoreError(f"{_BROKEN}.")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StoreError(f"{_BROKEN}.")
    return value


def _strings(value: object) -> dict[str, str]:
    found = {text.key(key, "The key of an attachment"): v for key, v in _object(value).items()}
    return {key: text.digest(_text(sha256)) for key, sha256 in found.items()}
