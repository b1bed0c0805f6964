"""Who is here: the person of a session, from what the provider of the sign-in says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import streamlit as st
from streamlit.auth_util import get_secrets_auth_section

from attnlib import settings
from attnlib.errors import SignInError
from attnlib.store.people import LOCAL, Person, Role

HOUR = 3600.0  # seconds
# A provider's clock may be ahead of ours by so much.
SKEW = 300.0  # seconds
_SEEN_ON = threading.Event()
# Seconds for which an answer of Streamlit holds, which reads its file at each question.
LOOK_S = 2.0


class NoRole(SignInError):
    """Somebody is signed in who may not use this server."""


def sign_in_is_on() -> bool:
    """Whether people sign in here; otherwise everybody is :data:`LOCAL`.

    Once it is on it stays on, whatever becomes of the file that configured it: a mistake there
    must not open the doors.
    """
    if not _SEEN_ON.is_set() and (settings.current().oidc_client_id or _configured(_moment())):
        _SEEN_ON.set()
    return _SEEN_ON.is_set()


def _moment() -> int:
    return int(time.monotonic() / LOOK_S)


@lru_cache(maxsize=1)
def _configured(moment: int) -> bool:
    """Whether Streamlit's own file configures it, as seen at this moment."""
    return bool(get_secrets_auth_section())


def alone() -> bool:
    """Whether this server answers its own machine and nobody else."""
    return st.get_option("server.address") in ("localhost", "127.0.0.1", "::1")


def person() -> Person:
    """The person of the session that runs now.

    Raises:
        SignInError: nobody is signed in, too long ago, or somebody who may not use this server.
    """
    return of_claims(st.user.to_dict()) if sign_in_is_on() else LOCAL


def of_claims(claims: Mapping[str, Any]) -> Person:
    """The person that a provider's claims are about.

    Args:
        claims: of an ID token, with ``is_logged_in`` beside them.

    Raises:
        SignInError: as :func:`person`.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not claims.get("is_logged_in") or not _text(issuer) or not _text(subject):
        raise SignInError("Nobody is signed in. Sign in to go on.")
    if not _recent(claims.get("iat")):
        raise SignInError("You signed in too long ago. Sign in again to go on.")
    email = str(claims.get("email") or "")
    name = str(claims.get("name") or claims.get("preferred_username") or email or subject)
    groups = frozenset(_groups(claims))
    identity = f"{issuer}|{subject}"
    if claims.get("email_verified") is False:
        # An address that the provider has not checked could be anybody's.
        email = ""
    role = _role({identity, email.casefold()} - {""}, groups)
    if role is None:
        raise NoRole("Your account may not use this server. Whoever runs it can give you a role.")
    return Person(identity, name, email, role, groups)


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _recent(issued: object) -> bool:
    """Whether a token was issued within the hours that a sign-in lasts."""
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        return False
    return -SKEW <= time.time() - issued < settings.current().session_hours * HOUR


def _groups(claims: Mapping[str, Any]) -> Iterable[str]:
    """The names in the groups claim, which may lie within others: ``realm_access.roles``."""
    name = settings.current().groups_claim
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    listed = [found] if isinstance(found, str) else found
    return [group for group in listed if isinstance(group, str)] if _many(listed) else []


def _many(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _role(named: set[str], groups: frozenset[str]) -> Role | None:
    """The highest role that the settings give to one of these names or groups."""
    chosen = settings.current()
    listed = {entry if "|" in entry else entry.casefold() for entry in chosen.admins}
    if named & listed or groups & set(chosen.admin_groups):
        return "admin"
    if groups & set(chosen.editor_groups):
        return "editor"
    if groups & set(chosen.viewer_groups):
        return "viewer"
    return None if chosen.default_role == "none" else chosen.default_role
