"""Reading and answering requests as ASGI has them, without a framework."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: str) -> str | None:
    """The value of a header; None where it is missing, or there more than once."""
    found = [value for key, value in scope["headers"] if key == name.encode()]
    return found[0].decode("latin-1") if len(found) == 1 else None


def cookies(scope: Scope) -> dict[str, str]:
    """Every cookie of the request, by name; none of a line that is no list of cookies."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        if key == b"cookie":
            for part in value.decode("latin-1").split(";"):
                name, _, text = part.strip().partition("=")
                found[name] = _unquoted(name, text)
    return found


def _unquoted(name: str, text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        return SimpleCookie(f"x={text}")["x"].value
    except (CookieError, KeyError):
        return text


def set_cookie(name: str, value: str, *, seconds: int, path: str) -> tuple[bytes, bytes]:
    """The header that keeps a cookie which no script can read; 0 seconds remove it."""
    line = f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax"
    return b"set-cookie", line.encode("latin-1")


async def answer(
    scope: Scope,
    send: Send,
    status: int,
    body: str,
    *,
    kind: str = "text/plain",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with a text that nobody may keep; a WebSocket is refused instead."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    data = body.encode()
    own = [
        (b"content-type", f"{kind}; charset=utf-8".encode()),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    shown = b"" if scope["method"] == "HEAD" else data
    await send({"type": "http.response.body", "body": shown})


async def redirect(
    scope: Scope, send: Send, place: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a browser on to a place of this server."""
    where = (b"location", place.encode("latin-1"))
    await answer(scope, send, HTTPStatus.SEE_OTHER, "", headers=[where, *headers])


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 1rem/1.5 system-ui, sans-serif; background: light-dark(#f2f5f8, #10161d);
  color: light-dark(#0c141c, #e4ebf2); }}
main {{ box-sizing: border-box; width: min(26rem, 100vw); padding: 2rem; }}
h1 {{ margin: 0 0 .5rem; font-size: 1.45rem; }}
p {{ margin: 0 0 1rem; overflow-wrap: anywhere; }}
a {{ display: inline-block; padding: .5rem 1.1rem; border-radius: .5rem; text-decoration: none;
  background: light-dark(#0a65ae, #4ea8e6); color: light-dark(#ffffff, #10161d); }}
a:focus-visible {{ outline: 3px solid currentColor; outline-offset: 2px; }}
</style>
</head>
<body><main><h1>{title}</h1>{body}</main></body>
</html>
"""


def page(title: str, words: Iterable[str], link: tuple[str, str] | None = None) -> str:
    """A page of our own, where the app is not shown: a heading, paragraphs, one link.

    Args:
        link: what it says, and where it leads.
    """
    parts = [f"<p>{html.escape(text)}</p>" for text in words if text]
    if link is not None:
        parts.append(f'<a href="{html.escape(link[1])}">{html.escape(link[0])}</a>')
    return _PAGE.format(title=html.escape(title), body="".join(parts))
