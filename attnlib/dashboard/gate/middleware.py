"""The gate itself: every request and every WebSocket passes it, before Streamlit."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from attnlib.dashboard.gate import asgi, doors, headers, hosts, logs, metrics, wanted
from attnlib.dashboard.gate.asgi import App, Message, Receive, Scope, Send
from attnlib.dashboard.state import people, signed, startup
from attnlib.errors import SignInError

log = logging.getLogger("attnlib.requests")

_WRITING = ("POST", "PUT", "PATCH", "DELETE")
_UNASKED = "This server does not answer under this name."
_FOREIGN = "Only pages of this server may connect to it."


class Gate:
    """Names, sign-in and headers around the app."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        name = logs.request_name(asgi.header(scope, "x-request-id"))
        logs.REQUEST.set(name)
        began = time.monotonic()
        outgoing = _Outgoing(scope, send, name)
        try:
            await self._pass(scope, receive, outgoing)
        finally:
            outgoing.note(time.monotonic() - began)

    async def _pass(self, scope: Scope, receive: Receive, send: _Outgoing) -> None:
        """Refuse, or let through to the app."""
        path = doors.path_of(scope)
        # Load balancers ask without a name, and hear nothing that anybody could not.
        if path not in doors.NAMELESS and not hosts.answers_to(asgi.header(scope, "host")):
            await send.refuse("host", HTTPStatus.MISDIRECTED_REQUEST, _host_words())
            return
        if _must_be_ours(scope) and not hosts.connects_from_here(scope):
            await send.refuse("origin", HTTPStatus.FORBIDDEN, _FOREIGN)
            return
        if doors.is_operators(path):
            status = doors.operator(scope)
            if status != HTTPStatus.OK:
                await send.refuse("operator", status, "This is for whoever runs the server.")
                return
        elif people.sign_in_is_on() and not doors.is_public(path):
            if not await self._admitted(scope, send, path):
                return
        elif path == "/sign-in":
            await self._sign_in(scope, send)
            return
        await self._app(scope, receive, send)

    async def _admitted(self, scope: Scope, send: _Outgoing, path: str) -> bool:
        """Whether the request is of a person whom this address belongs to; otherwise answered."""
        cookies = asgi.cookies(scope)
        try:
            person = signed.of_cookies(cookies)
        except SignInError as error:
            await self._turn_away(scope, send, error)
            return False
        if not await doors.belongs_to(person, path):
            await send.refuse("owner", HTTPStatus.NOT_FOUND, "Not found")
            return False
        place = wanted.kept(cookies)
        if place and scope["type"] == "http" and path == "/" and not scope["query_string"]:
            await asgi.redirect(scope, send, place, wanted.forget())
            return False
        return True

    async def _turn_away(self, scope: Scope, send: _Outgoing, error: SignInError) -> None:
        metrics.REFUSED["person"] += 1
        if scope["type"] == "websocket" or not wanted.is_page(scope):
            await asgi.answer(scope, send, HTTPStatus.UNAUTHORIZED, str(error))
            return
        place = wanted.of_request(scope)
        words = [str(error)]
        if not place and scope["query_string"]:
            words.append("This link cannot be kept meanwhile: open it again after the sign-in.")
        known = isinstance(error, people.NoRole)
        link = ("Sign out", "auth/logout") if known else ("Sign in", "sign-in")
        page = asgi.page("ViT debugger", words, (link[0], f"{wanted.base()}/{link[1]}"))
        await asgi.answer(
            scope,
            send,
            HTTPStatus.FORBIDDEN if known else HTTPStatus.UNAUTHORIZED,
            page,
            kind="text/html",
            headers=wanted.keep(place),
        )

    async def _sign_in(self, scope: Scope, send: _Outgoing) -> None:
        place = signed.login_path() if people.sign_in_is_on() else f"{wanted.base()}/"
        await asgi.redirect(scope, send, place)


class _Outgoing:
    """The way back: puts headers on the answer, and remembers what it was."""

    def __init__(self, scope: Scope, send: Send, name: str) -> None:
        self._scope, self._send, self._name = scope, send, name
        self._status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self._status = message["status"]
            message["headers"] = headers.hardened(
                list(message.get("headers", [])),
                tls=hosts.secure(self._scope),
                request=self._name,
            )
        elif message["type"] == "websocket.accept":
            self._status = HTTPStatus.SWITCHING_PROTOCOLS
        elif message["type"] == "websocket.close" and not self._status:
            self._status = HTTPStatus.FORBIDDEN
        await self._send(message)

    async def refuse(self, reason: str, status: int, words: str) -> None:
        """Answer with a status and a sentence."""
        metrics.REFUSED[reason] += 1
        challenge = [(b"www-authenticate", b"Bearer")] if status == 401 else []
        await asgi.answer(self._scope, self, status, words, headers=challenge)

    def note(self, seconds: float) -> None:
        """One line in the log; of files that every page asks for only at `debug`."""
        scope, status = self._scope, self._status or HTTPStatus.INTERNAL_SERVER_ERROR
        metrics.ANSWERED[f"{status // 100}xx"] += 1
        path = doors.path_of(scope)
        quiet = path.startswith(("/static/", doors.MEDIA)) or doors.is_public(path)
        kind = "WebSocket" if scope["type"] == "websocket" else scope["method"]
        milliseconds = round(1000 * seconds)
        fields = {"method": kind, "status": int(status), "milliseconds": milliseconds}
        log.log(
            logging.DEBUG if quiet and status < 400 else logging.INFO,
            "%s %s %d in %d ms",
            kind,
            _shown(path),
            status,
            milliseconds,
            extra={"fields": fields},
        )


def _must_be_ours(scope: Scope) -> bool:
    """Whether the page that asks is judged: always of a WebSocket, else where it may change."""
    if scope["type"] == "websocket":
        return True
    said = any(name == b"origin" for name, _ in scope["headers"])
    return scope["method"] in _WRITING and said


def _host_words() -> str:
    return (
        f"{_UNASKED} Whoever runs it can allow the name with ATTNLIB_PUBLIC_URL or "
        "ATTNLIB_ALLOWED_HOSTS."
    )


def _shown(path: str) -> str:
    """A path for the log: what is none of our pages may be text that a person chose."""
    if path.startswith(doors.UPLOAD):
        return doors.UPLOAD + "…"
    known = path.startswith(("/static/", "/media/", "/_stcore/", "/component/", "/auth/"))
    return path if known or doors.is_public(path) or path in startup.ADDRESSES else "/…"
