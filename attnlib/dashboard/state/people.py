"""Who is here."""

from __future__ import annotations

from attnlib.store.people import LOCAL, Person


def sign_in_is_on() -> bool:
    """Whether people sign in here; otherwise everybody is :data:`LOCAL`."""
    return False


def person() -> Person:
    """The person of the session that runs now."""
    return LOCAL
