"""Who looks and who writes: a person, as the sign-in knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# A viewer looks and comments; an editor writes; an admin decides on members, limits, deletion and
# reads the audit log.
Role = Literal["viewer", "editor", "admin"]


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in.

    Attributes:
        id: never changes; of whoever signed in somewhere, ``issuer|subject``.
        role: what the person may do at most, wherever nothing more was given to them.
        groups: as the sign-in names them.
    """

    id: str
    name: str
    email: str = ""
    role: Role = "editor"
    groups: frozenset[str] = frozenset()


# Where nobody signs in.
LOCAL = Person("local", "You", role="admin")
