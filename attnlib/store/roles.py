"""Who may do what in which workspace: the only place that decides it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, or_, select

from attnlib.errors import Forbidden, NotFound
from attnlib.store import text
from attnlib.store.people import Person, Role
from attnlib.store.tables import MEMBER, WORKSPACE

_RANK: Final[dict[str, int]] = {"viewer": 0, "editor": 1, "admin": 2}
# The same words for what is not there and what one may not see.
_UNSEEN: Final = (
    "There is no such workspace, or it is not shared with you: ask the person who sent the link."
)
_NEEDED: Final = {
    "editor": "only its editors can do this. Ask its owner to make you one",
    "admin": "only its owner and admins can do this. Ask its owner",
}


def names(me: Person) -> list[str]:
    """What a person is called in lists of members: the id, and the email address."""
    return [me.id, *([email] if (email := member_name(me.email)) else [])]


def member_name(who: str) -> str:
    """An id as it is, an email address in lower case: ids of a sign-in hold a ``|``."""
    who = who.strip()
    return who if "|" in who else who.lower() if "@" in who else who


def at_least(role: str, needed: Role) -> bool:
    """Whether a role includes another."""
    return _RANK[role] >= _RANK[needed]


def granted(me: Person) -> Select[Any]:
    """Every workspace with the best role that this person was given in it as a member."""
    theirs = select(MEMBER.c.workspace, MEMBER.c.role).where(MEMBER.c.who.in_(names(me))).subquery()
    return select(WORKSPACE, theirs.c.role.label("given")).outerjoin(
        theirs, theirs.c.workspace == WORKSPACE.c.id
    )


def listed(me: Person) -> ColumnElement[bool]:
    """Which workspaces of `granted` this person's list shows."""
    if me.role == "admin":
        return WORKSPACE.c.id.is_not(None)
    given = select(MEMBER.c.workspace).where(MEMBER.c.who.in_(names(me)))
    return or_(
        WORKSPACE.c.owner == me.id,
        WORKSPACE.c.access == "team",
        WORKSPACE.c.id.in_(given),
    )


def role_in(me: Person, row: Row[Any]) -> Role | None:
    """The person's role in a workspace of `granted`; None where they may not see it.

    Admins of the site are admins everywhere. Everybody else has what they own or were given, and
    no more than a viewer's rights where the sign-in says that they are viewers.
    """
    if me.role == "admin":
        return "admin"
    found: list[Role] = []
    if row.owner == me.id:
        found.append("admin")
    if row.given is not None:
        found.append(row.given)
    if row.access in ("team", "link"):
        found.append(me.role)
    if not found:
        return None
    best: Role = max(found, key=lambda role: _RANK[role])
    return "viewer" if me.role == "viewer" else best


def workspace(
    transaction: Connection, me: Person, id: str, needed: Role = "viewer", lock: bool = False
) -> tuple[Row[Any], Role]:
    """A workspace's row, and the person's role in it.

    Args:
        lock: keep everybody else from changing it until the transaction ends.

    Raises:
        NotFound: there is none, or this person may not see it.
        Forbidden: the person sees it and has less than the needed role.
    """
    text.known_id(id, _UNSEEN)
    if lock:
        transaction.execute(select(WORKSPACE.c.id).where(WORKSPACE.c.id == id).with_for_update())
    best: tuple[Row[Any], Role] | None = None
    # A person may be a member twice, by id and by email address.
    for row in transaction.execute(granted(me).where(WORKSPACE.c.id == id)):
        role = role_in(me, row)
        if role is not None and (best is None or at_least(role, best[1])):
            best = row, role
    if best is None:
        raise NotFound(_UNSEEN)
    if not at_least(best[1], needed):
        raise Forbidden(f"You are a {best[1]} of this workspace, and {_NEEDED[needed]}.")
    return best


def may_make(me: Person) -> None:
    """Raises Forbidden if the person may not have workspaces of their own."""
    if me.role == "viewer":
        raise Forbidden("You may look and comment, not make workspaces: ask an admin for more.")


def admins_only(me: Person, what: str) -> None:
    """Raises Forbidden unless the person is an admin of the site."""
    if me.role != "admin":
        raise Forbidden(f"Only admins can {what}.")
