"""The audit log: who signed in, shared, deleted, took out."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from attnlib.store import roles, text
from attnlib.store.people import Person
from attnlib.store.records import Event
from attnlib.store.tables import EVENT, WORKSPACE

_LONGEST = 2_000


def events(transaction: Connection, me: Person, limit: int) -> list[Event]:
    """The latest ones, the newest first. Raises Forbidden unless the person is an admin."""
    roles.admins_only(me, "read the audit log")
    rows = transaction.execute(select(EVENT).order_by(EVENT.c.at.desc(), EVENT.c.id).limit(limit))
    return [Event(r.id, r.at, r.person, r.person_name, r.what, r.workspace, r.detail) for r in rows]


def add(
    transaction: Connection,
    me: Person,
    what: str,
    workspace: str = "",
    detail: str = "",
    event_id: str | None = None,
) -> None:
    """Write a line; none if one with this id is there."""
    id = uuid.uuid4().hex if event_id is None else text.new_id(event_id)
    if transaction.execute(select(EVENT.c.id).where(EVENT.c.id == id)).first() is not None:
        return
    transaction.execute(
        insert(EVENT).values(
            id=id,
            at=datetime.now(UTC),
            person=text.storable(me.id),
            person_name=text.storable(me.name),
            what=text.storable(what)[:_LONGEST],
            workspace=workspace,
            detail=text.storable(detail)[:_LONGEST],
        )
    )


def deleted_by(transaction: Connection, me: Person, workspace: str) -> bool:
    """Whether this person has deleted the workspace: then a second time is no mistake."""
    gone = select(EVENT.c.id).where(
        EVENT.c.workspace == workspace, EVENT.c.what == "delete", EVENT.c.person == me.id
    )
    there = select(WORKSPACE.c.id).where(WORKSPACE.c.id == workspace)
    if transaction.execute(there).first() is not None:
        return False
    return transaction.execute(gone).first() is not None
