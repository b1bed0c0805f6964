"""Requests to the gate as ASGI has them, and what came back; the app behind is made up."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from streamlit.auth_util import set_cookie_with_chunks
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from attnlib.dashboard.gate.asgi import App, Message, Receive, Scope, Send
from attnlib.dashboard.gate.middleware import Gate

SECRET = "a secret of the tests, long enough for a signature"
ORIGIN = "https://vit.example.org"
USER = "_streamlit_user"


@dataclass
class Answer:
    """What came back.

    Attributes:
        status: of a WebSocket 101 if it was accepted, else 403.
        reached: whether the app behind the gate was asked.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: str = ""
    reached: bool = False


def ask(
    path: str = "/",
    *,
    method: str = "GET",
    host: str | None = "localhost:8501",
    headers: dict[str, str] | None = None,
    cookies: dict[str, str] | None = None,
    query: str = "",
    scheme: str = "http",
    client: str = "127.0.0.1",
    websocket: bool = False,
    app: App | None = None,
) -> Answer:
    """Ask once, in an event loop of its own."""
    lines = [(b"host", host.encode("latin-1"))] if host is not None else []
    lines += [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()]
    if cookies:
        lines.append((b"cookie", "; ".join(f"{k}={v}" for k, v in cookies.items()).encode()))
    scope: Scope = {
        "type": "websocket" if websocket else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "headers": lines,
        "scheme": scheme,
        "client": (client, 40000),
        "server": ("127.0.0.1", 8501),
        "root_path": "",
        "http_version": "1.1",
        "subprotocols": [],
    }
    if not websocket:
        scope["method"] = method
    found = Answer()

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        found.reached = True
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        kept = [(b"set-cookie", b"own=1; Path=/"), (b"referrer-policy", b"unsafe-url")]
        await send({"type": "http.response.start", "status": 200, "headers": kept})
        await send({"type": "http.response.body", "body": b"behind"})

    async def receive() -> Message:
        return {"type": "websocket.connect" if websocket else "http.request", "body": b""}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            found.status = int(message["status"])
            for name, value in message["headers"]:
                if name == b"set-cookie":
                    found.cookies.append(value.decode())
                found.headers[name.decode()] = value.decode("latin-1")
        elif message["type"] == "http.response.body":
            found.body += message.get("body", b"").decode()
        elif message["type"] == "websocket.accept":
            found.status = 101
        elif message["type"] == "websocket.close":
            found.status = found.status or 403

    asyncio.run(Gate(app or behind)(scope, receive, send))
    return found


def claims(name: str = "ada", /, **more: Any) -> dict[str, Any]:
    """What a provider says of somebody, as Streamlit keeps it."""
    return {
        "iss": "https://provider.example",
        "sub": name,
        "name": name.title(),
        "email": f"{name}@example.org",
        "iat": int(time.time()),
        "is_logged_in": True,
        "origin": ORIGIN,
        **more,
    }


def signed_in(name: str = "ada", /, secret: str = SECRET, **more: Any) -> dict[str, str]:
    """The cookies of somebody whom Streamlit has signed in."""
    found: dict[str, str] = {}

    def keep(cookie: str, value: str) -> None:
        found[cookie] = create_signed_value(secret, cookie, value).decode()

    def signed(cookie: str, value: str) -> bytes:
        return create_signed_value(secret, cookie, value)

    set_cookie_with_chunks(keep, signed, USER, claims(name, **more), cookie_attr_size=80)
    return found


def unsigned(**more: Any) -> dict[str, str]:
    """A cookie that says the same, and that nobody signed."""
    return {USER: json.dumps(claims(**more))}
