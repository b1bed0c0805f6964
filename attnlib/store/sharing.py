"""Who else may see a workspace."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from attnlib.errors import StoreError
from attnlib.store import events, roles, text, workspaces
from attnlib.store.people import Person, Role
from attnlib.store.records import Access
from attnlib.store.tables import MEMBER

_ROLES = ("viewer", "editor", "admin")
_MOST = 1_000


def share(
    transaction: Connection, me: Person, id: str, access: Access, members: Mapping[str, Role]
) -> None:
    """Exchange who may see a workspace, and who may do what in it.

    Args:
        members: id or email address of a person -> their role.
    """
    row, _ = roles.workspace(transaction, me, id, "admin", lock=True)
    if len(members) > _MOST:
        raise StoreError(f"A workspace has at most {_MOST} members: share it with the team.")
    wanted = {}
    for who, role in members.items():
        if role not in _ROLES:
            raise StoreError("A member is a viewer, an editor or an admin.")
        wanted[text.key(roles.member_name(who), "The name of a member")] = role
    workspaces.checked_access(access)
    if row.access == access and wanted == _members(transaction, id):
        return
    transaction.execute(delete(MEMBER).where(MEMBER.c.workspace == id))
    if wanted:
        rows = [{"workspace": id, "who": who, "role": role} for who, role in wanted.items()]
        transaction.execute(insert(MEMBER), rows)
    workspaces.changed(transaction, id, access=access)
    said = ", ".join(f"{who} ({role})" for who, role in wanted.items())
    events.add(transaction, me, "share", id, f"{row.name}: {access}; {said or 'no members'}")


def members(transaction: Connection, me: Person, id: str) -> dict[str, Role]:
    """Id or email address -> role; for editors of the workspace."""
    roles.workspace(transaction, me, id, "editor")
    return _members(transaction, id)


def _members(transaction: Connection, id: str) -> dict[str, Role]:
    rows = transaction.execute(
        select(MEMBER.c.who, MEMBER.c.role).where(MEMBER.c.workspace == id).order_by(MEMBER.c.who)
    )
    return {who: role for who, role in rows}
