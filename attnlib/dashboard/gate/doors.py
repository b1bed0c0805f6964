"""Which address is open to whom. What is not named here needs a person who is signed in."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from streamlit import runtime

from attnlib import settings
from attnlib.dashboard.gate import hosts, wanted
from attnlib.dashboard.gate.asgi import Scope, header
from attnlib.dashboard.state import people
from attnlib.errors import SignInError
from attnlib.store.people import Person

# What answers without a sign-in, and why.
PUBLIC = {
    "/healthz": "says that the process lives, and nothing else",
    "/readyz": "says which named check fails, and nothing else",
    "/_stcore/health": "says that Streamlit runs, and nothing else",
    "/sign-in": "where a sign-in begins",
    "/auth/login": "where Streamlit sends a browser on to the provider",
    "/oauth2callback": "where the provider sends a browser back, with a code of its own",
    "/auth/logout": "removes the cookies of whoever asks",
}
NAMELESS = ("/healthz", "/readyz")
# Of the machine rather than of a person: for who has the token, or is on this machine.
OPERATOR = ("/metrics", "/_stcore/metrics", "/_stcore/script-health-check", "/_stcore/agent/")
UPLOAD = "/_stcore/upload_file/"
MEDIA = "/media/"

# A picture is not its session's for the moment between two runs: then it is asked for again.
PATIENCE = 2.0  # seconds
_STEP = 0.05  # seconds


def is_public(path: str) -> bool:
    """Whether a path answers without a sign-in."""
    return path in PUBLIC


def is_operators(path: str) -> bool:
    """Whether a path is for whoever runs the server."""
    return any(path == door or (door[-1] == "/" and path.startswith(door)) for door in OPERATOR)


def operator(scope: Scope) -> int:
    """OK for whoever runs the server, otherwise the status that refuses.

    With a token in the settings, only who has it; without one, only programs of this machine.
    """
    token = settings.current().metrics_token
    if not token:
        return HTTPStatus.OK if hosts.from_this_machine(scope) else HTTPStatus.FORBIDDEN
    said = header(scope, "authorization") or ""
    kind, _, given = said.partition(" ")
    right = hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
    return HTTPStatus.OK if kind.lower() == "bearer" and right else HTTPStatus.UNAUTHORIZED


async def belongs_to(person: Person, path: str) -> bool:
    """Whether a path is this person's: files of a session are nobody else's.

    Args:
        path: without what stands before every one.
    """
    if path.startswith(UPLOAD):
        session = path[len(UPLOAD) :].split("/")[0]
        return person.id in _owners([session])
    if path.startswith(MEDIA):
        return await _sees(person, path[len(MEDIA) :])
    return True


class _Seen:
    """Files that people were given, the last ones: they may ask again when no page shows them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: OrderedDict[tuple[str, str], None] = OrderedDict()

    def add(self, person: str, file: str) -> None:
        self._files[person, file] = None
        self._files.move_to_end((person, file))
        while len(self._files) > self._most:
            self._files.popitem(last=False)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._files


_SEEN = _Seen(10_000)


async def _sees(person: Person, name: str) -> bool:
    file = name.split(".")[0]
    if (person.id, file) in _SEEN:
        return True
    for _ in range(round(PATIENCE / _STEP)):
        if person.id in _owners(_sessions_with(file)):
            _SEEN.add(person.id, file)
            return True
        if not _is_there(file):
            return False
        await asyncio.sleep(_STEP)
    return False


def _is_there(file: str) -> bool:
    media = runtime.get_instance().media_file_mgr
    return file in media._file_metadata


def _sessions_with(file: str) -> Iterator[str]:
    media = runtime.get_instance().media_file_mgr
    with media._lock:
        shown = [(s, set(files.values())) for s, files in media._files_by_session_and_coord.items()]
    return (session for session, files in shown if file in files)


def _owners(sessions: Iterable[str]) -> set[str]:
    """Ids of the people of sessions."""
    asked = set(sessions)
    manager = runtime.get_instance()._session_mgr
    claims = [
        info.session._user_info for info in manager.list_sessions() if info.session.id in asked
    ]
    return {found.id for found in map(_person, claims) if found is not None}


def _person(claims: Mapping[str, Any]) -> Person | None:
    try:
        return people.of_claims(claims)
    except SignInError:
        return None


def path_of(scope: Scope) -> str:
    """The path that doors are named by; "" for what lies outside this server's own."""
    return wanted.within(scope["path"]) or ""
