"""The files of a workspace, how it is set up, and the bytes of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from attnlib.data.archive import Item, Refusal
from attnlib.data.collection import Opened
from attnlib.data.content import Content
from attnlib.data.paths import is_text
from attnlib.errors import NotFound, StoreError
from attnlib.store import roles, text, workspaces
from attnlib.store.blobs import Blobs
from attnlib.store.holding import hold
from attnlib.store.people import Person
from attnlib.store.records import Setup, StoredFile
from attnlib.store.tables import ATTACHMENT, FILE, ITEM


def add(
    transaction: Connection, blobs: Blobs, me: Person, id: str, files: Sequence[StoredFile]
) -> None:
    """Add files after those that are there; one whose id is there stays as it is."""
    roles.workspace(transaction, me, id, "editor", lock=True)
    there = set(transaction.scalars(select(FILE.c.id).where(FILE.c.workspace == id)))
    new = list({file.id: file for file in files if text.new_id(file.id) not in there}.values())
    if not new:
        return
    hold(transaction, blobs, contents(new))
    write(transaction, id, new)
    workspaces.changed(transaction, id, images=_pictures(transaction, id))


def write(transaction: Connection, id: str, files: Sequence[StoredFile]) -> None:
    """The rows of files whose contents are held."""
    last = transaction.scalar(select(func.max(FILE.c.place)).where(FILE.c.workspace == id))
    rows = []
    for place, file in enumerate(files, 0 if last is None else last + 1):
        name, zipped = text.storable(file.name), file.opened.zipped
        key = {"workspace": id, "id": file.id}
        rows.append(key | {"place": place, "name": name, "zipped": zipped})
    if rows:
        transaction.execute(insert(FILE), rows)
    if items := item_rows(id, files):
        transaction.execute(insert(ITEM), items)


def item_rows(id: str, files: Sequence[StoredFile]) -> list[dict[str, Any]]:
    """What came out of files, as rows of the table."""
    return [
        _row(id, file.id, place, item)
        for file in files
        for place, item in enumerate(file.opened.items)
    ]


def remove(transaction: Connection, me: Person, id: str, ids: Sequence[str]) -> list[str]:
    """Take files away; those that are not there are no mistake.

    Returns:
        The SHA-256 of what they referred to, for `attnlib.store.holding.release`.
    """
    roles.workspace(transaction, me, id, "editor", lock=True)
    these = (ITEM.c.workspace == id) & ITEM.c.file.in_(list(ids))
    candidates = list(
        transaction.scalars(select(ITEM.c.sha256).where(these, ITEM.c.sha256.is_not(None)))
    )
    found = transaction.execute(
        delete(FILE).where(FILE.c.workspace == id, FILE.c.id.in_(list(ids)))
    )
    if found.rowcount:
        workspaces.changed(transaction, id, images=_pictures(transaction, id))
    return candidates


def ids(transaction: Connection, id: str) -> tuple[str, ...]:
    """The ids of a workspace's files, in their order."""
    found = select(FILE.c.id).where(FILE.c.workspace == id).order_by(FILE.c.place)
    return tuple(transaction.scalars(found))


def stored(transaction: Connection, blobs: Blobs, id: str) -> tuple[StoredFile, ...]:
    """All files in their order; their contents are read from ``blobs`` when asked for."""
    items: dict[str, list[Item]] = {}
    query = select(ITEM.c.file, ITEM.c.name, ITEM.c.sha256, ITEM.c.size, ITEM.c.reason)
    for file, name, sha256, size, reason in transaction.execute(
        query.where(ITEM.c.workspace == id).order_by(ITEM.c.file, ITEM.c.place)
    ):
        item: Item
        if sha256 is None:
            item = Refusal(name, reason or "")
        else:
            item = name, Content(sha256, size, partial(blobs.get, sha256, name))
        items.setdefault(file, []).append(item)
    rows = transaction.execute(select(FILE).where(FILE.c.workspace == id).order_by(FILE.c.place))
    return tuple(
        StoredFile(r.id, r.name, Opened(tuple(items.get(r.id, ())), r.zipped)) for r in rows
    )


def set_up(
    transaction: Connection,
    blobs: Blobs,
    me: Person,
    id: str,
    setup: Setup,
    given: Mapping[str, Content],
) -> list[str]:
    """Exchange how the workspace is set up.

    Args:
        given: contents of attachments that the workspace does not refer to yet, by SHA-256.

    Returns:
        The SHA-256 of attachments that it no longer has, for `attnlib.store.holding.release`.

    Raises:
        StoreError: an attachment is neither given nor there.
    """
    row, _ = roles.workspace(transaction, me, id, "editor", lock=True)
    values = {
        "model": text.json_object(setup.model, "The choice of the model"),
        "settings": text.json_object(setup.settings, "The settings"),
    }
    before = attachments(transaction, id)
    now = {text.key(key, "The key of an attachment"): sha for key, sha in setup.attachments.items()}
    if before == now and all(getattr(row, key) == value for key, value in values.items()):
        return []
    known = set(transaction.scalars(workspaces.contents_of(id)))
    # Whoever only knows a hash does not get what it is the hash of.
    if set(now.values()) - known - set(given):
        raise StoreError("An attachment came without its bytes: add it again.")
    hold(transaction, blobs, {sha: given[sha] for sha in now.values() if sha in given})
    transaction.execute(delete(ATTACHMENT).where(ATTACHMENT.c.workspace == id))
    attach(transaction, id, now)
    workspaces.changed(transaction, id, **values)
    return list(set(before.values()) - set(now.values()))


def attach(transaction: Connection, id: str, these: Mapping[str, str]) -> None:
    """The rows of attachments whose contents are held."""
    if these:
        rows = [{"workspace": id, "key": key, "sha256": sha} for key, sha in these.items()]
        transaction.execute(insert(ATTACHMENT), rows)


def attachments(transaction: Connection, id: str) -> dict[str, str]:
    """Key -> SHA-256."""
    rows = transaction.execute(
        select(ATTACHMENT.c.key, ATTACHMENT.c.sha256)
        .where(ATTACHMENT.c.workspace == id)
        .order_by(ATTACHMENT.c.key)
    )
    return {key: sha256 for key, sha256 in rows}


def name_of(transaction: Connection, me: Person, id: str, sha256: str) -> str:
    """What the workspace calls a content. Raises NotFound if it refers to none such."""
    roles.workspace(transaction, me, id)
    item = select(ITEM.c.name).where(ITEM.c.workspace == id, ITEM.c.sha256 == sha256)
    attachment = select(ATTACHMENT.c.key).where(
        ATTACHMENT.c.workspace == id, ATTACHMENT.c.sha256 == sha256
    )
    found: str | None = transaction.scalar(item.limit(1)) or transaction.scalar(attachment.limit(1))
    if found is None:
        raise NotFound("This workspace holds no such file.")
    return found


def contents(files: Sequence[StoredFile]) -> dict[str, Content]:
    """All contents of files by SHA-256, each once."""
    items = (item for file in files for item in file.opened.items)
    return {item[1].sha256: item[1] for item in items if not isinstance(item, Refusal)}


def _row(id: str, file: str, place: int, item: Item) -> dict[str, Any]:
    key = {"workspace": id, "file": file, "place": place}
    if isinstance(item, Refusal):
        name, reason = text.storable(item.name), text.storable(item.reason)
        return key | _VALUES | {"name": name, "reason": reason}
    name, content = text.storable(item[0]), item[1]
    picture = not is_text(name)
    return key | {
        "name": name,
        "sha256": content.sha256,
        "size": content.size,
        "picture": picture,
        "reason": None,
    }


_VALUES = {"sha256": None, "size": 0, "picture": False}


def _pictures(transaction: Connection, id: str) -> int:
    count = select(func.count()).where(ITEM.c.workspace == id, ITEM.c.picture)
    return int(transaction.scalar(count) or 0)
