"""Workspaces as a whole: made, listed, opened, named, put aside, copied, deleted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    Row,
    delete,
    func,
    insert,
    literal,
    select,
    union,
    update,
)

from attnlib.errors import StoreError
from attnlib.store import events, roles, text
from attnlib.store.people import Person, Role
from attnlib.store.records import Access, Head, Usage
from attnlib.store.tables import ATTACHMENT, BLOB, CASE, COMMENT, FILE, ITEM, WORKSPACE


def heads(transaction: Connection, me: Person, archived: bool = False) -> list[Head]:
    """Those that the person finds in their list, the newest change first."""
    rows = transaction.execute(
        roles.granted(me)
        .where(roles.listed(me), WORKSPACE.c.archived == archived)
        .order_by(WORKSPACE.c.changed.desc(), WORKSPACE.c.id)
    )
    found: dict[str, Head] = {}
    for row in rows:
        role = roles.role_in(me, row)
        if role is None:
            continue
        # A person may be a member twice, by id and by email address.
        if row.id not in found or roles.at_least(role, found[row.id].role):
            found[row.id] = _head(row, role)
    return list(found.values())


def head(transaction: Connection, me: Person, id: str) -> Head:
    """One of them; also one that the person has the link of."""
    return _head(*roles.workspace(transaction, me, id))


def create(transaction: Connection, me: Person, id: str, name: str, access: Access) -> Head:
    """A new one, empty; the same one if it was created before."""
    roles.may_make(me)
    values = new_row(me, id, name, access)
    if not already_made(transaction, me, id):
        transaction.execute(insert(WORKSPACE).values(values))
    return head(transaction, me, id)


def new_row(me: Person, id: str, name: str, access: Access = "private") -> dict[str, Any]:
    """The row of a new workspace."""
    now = datetime.now(UTC)
    return {
        "id": text.new_id(id),
        "name": text.name(name),
        "owner": me.id,
        "owner_name": text.storable(me.name),
        "access": checked_access(access),
        "created": now,
        "changed": now,
        "archived": False,
        "revision": 1,
        "model": "{}",
        "settings": "{}",
        "images": 0,
    }


def already_made(transaction: Connection, me: Person, id: str) -> bool:
    """Whether this person made it before. Raises StoreError if somebody else did."""
    owner = transaction.scalar(select(WORKSPACE.c.owner).where(WORKSPACE.c.id == id))
    if owner is not None and owner != me.id:
        raise StoreError("A new workspace needs an id of its own: try again.")
    return owner is not None


def rename(transaction: Connection, me: Person, id: str, name: str) -> None:
    row, _ = roles.workspace(transaction, me, id, "editor", lock=True)
    _set(transaction, row, {"name": text.name(name)})


def archive(transaction: Connection, me: Person, id: str, archived: bool) -> None:
    """Put it out of the list, or back into it; it stays as it is."""
    row, _ = roles.workspace(transaction, me, id, "editor", lock=True)
    _set(transaction, row, {"archived": archived})


def duplicate(transaction: Connection, me: Person, id: str, new_id: str, name: str) -> Head:
    """A private copy of all that is in it, with its history and its comments."""
    roles.may_make(me)
    values = new_row(me, new_id, name)
    if already_made(transaction, me, new_id):
        return head(transaction, me, new_id)
    # Locked: nobody deletes it, and what it refers to, while its references are copied.
    row, _ = roles.workspace(transaction, me, id, lock=True)
    kept = {"model": row.model, "settings": row.settings, "images": row.images}
    lock_contents(transaction, id)
    transaction.execute(insert(WORKSPACE).values(values | kept))
    for table in (FILE, ITEM, ATTACHMENT, CASE, COMMENT):
        names = [column.name for column in table.columns]
        source = [literal(new_id).label(n) if n == "workspace" else table.c[n] for n in names]
        transaction.execute(
            insert(table).from_select(names, select(*source).where(table.c.workspace == id))
        )
    return head(transaction, me, new_id)


def delete_(transaction: Connection, me: Person, id: str) -> list[str]:
    """Delete it with all that is said in it.

    Returns:
        The SHA-256 of the contents that it referred to, for `attnlib.store.holding.release`.
    """
    if events.deleted_by(transaction, me, id):
        return []
    row, _ = roles.workspace(transaction, me, id, "admin", lock=True)
    candidates = list(transaction.scalars(contents_of(id)))
    transaction.execute(delete(WORKSPACE).where(WORKSPACE.c.id == id))
    events.add(transaction, me, "delete", id, row.name)
    return candidates


def contents_of(id: str) -> Any:
    """A query for the SHA-256 of all that a workspace refers to."""
    return union(
        select(ITEM.c.sha256).where(ITEM.c.workspace == id, ITEM.c.sha256.is_not(None)),
        select(ATTACHMENT.c.sha256).where(ATTACHMENT.c.workspace == id),
    )


def lock_contents(transaction: Connection, id: str) -> None:
    """Lock all contents of a workspace in the order in which everybody locks them."""
    these: FromClause = contents_of(id).subquery()
    transaction.execute(
        select(BLOB.c.sha256)
        .where(BLOB.c.sha256.in_(select(these.c.sha256)))
        .order_by(BLOB.c.sha256)
        .with_for_update(read=True, key_share=True)
    )


def usage(transaction: Connection, me: Person) -> Usage:
    """What the person's own workspaces take up, archived ones too."""
    own = select(WORKSPACE.c.id).where(WORKSPACE.c.owner == me.id)
    used = union(
        select(ITEM.c.sha256).where(ITEM.c.workspace.in_(own)),
        select(ATTACHMENT.c.sha256).where(ATTACHMENT.c.workspace.in_(own)),
    )
    images = select(func.sum(WORKSPACE.c.images)).where(WORKSPACE.c.owner == me.id)
    size = select(func.sum(BLOB.c.size)).where(BLOB.c.sha256.in_(used))
    return Usage(int(transaction.scalar(images) or 0), int(transaction.scalar(size) or 0))


def changed(transaction: Connection, id: str, **values: Any) -> None:
    """Note that something in it changed."""
    transaction.execute(
        update(WORKSPACE)
        .where(WORKSPACE.c.id == id)
        .values(revision=WORKSPACE.c.revision + 1, changed=datetime.now(UTC), **values)
    )


def checked_access(access: str) -> str:
    """Raises StoreError if it is none."""
    if access not in ("private", "team", "link"):
        raise StoreError("A workspace is open to its members, the team, or who has the link.")
    return access


def settings_of(row: Row[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON of the model, and that of the other settings."""
    return json.loads(row.model), json.loads(row.settings)


def _set(transaction: Connection, row: Row[Any], values: dict[str, Any]) -> None:
    """Only what differs is a change."""
    if any(getattr(row, key) != value for key, value in values.items()):
        changed(transaction, row.id, **values)


def _head(row: Row[Any], role: Role) -> Head:
    return Head(
        row.id,
        row.name,
        row.owner,
        row.owner_name,
        row.access,
        role,
        row.images,
        row.created,
        row.changed,
        row.archived,
        row.revision,
    )
