"""A link survives the sign-in: the page that was asked for is kept in a cookie for some minutes."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from streamlit import config

from attnlib.dashboard.gate.asgi import Headers, Scope, set_cookie

NAME = "attnlib_wanted"
MINUTES = 15
# Browsers drop a longer cookie.
LONGEST = 3800  # characters

# Our pages have one name each; whatever could lead to another host is not among these signs.
_PAGE = re.compile(r"/[A-Za-z0-9_-]*")
_QUERY = re.compile(r"[A-Za-z0-9_.~!$&'()*+,;=:@/?%\-\[\]]*")


def base() -> str:
    """What stands before every path of this server; "" or such as ``/vit``."""
    name = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{name}" if name else ""


def within(path: str) -> str | None:
    """A path without what stands before every one; None if it lies elsewhere."""
    if not path.startswith("/") or not f"{path}/".startswith(base() + "/"):
        return None
    return path[len(base()) :] or "/"


def is_page(scope: Scope) -> bool:
    """Whether a browser asks for one of the app's pages, rather than for a part of one."""
    path = within(scope["path"])
    return scope["method"] in ("GET", "HEAD") and path is not None and _local(path)


def of_request(scope: Scope) -> str:
    """The page and the query of a request; "" if they are not to be kept."""
    query = scope["query_string"].decode("latin-1")
    place = scope["path"] + (f"?{query}" if query else "")
    return place if _safe(place) and len(quote(place, safe="")) <= LONGEST else ""


def keep(place: str) -> Headers:
    """The header that keeps a page; none for the first page, where everybody arrives anyway."""
    if not place or place == f"{base()}/":
        return []
    cookie = set_cookie(NAME, quote(place, safe=""), seconds=60 * MINUTES, path=base() or "/")
    return [cookie]


def kept(cookies: dict[str, str]) -> str:
    """The page that a cookie keeps; "" for none, and for what is no page of this server."""
    place = unquote(cookies.get(NAME, ""))
    return place if _safe(place) else ""


def forget() -> Headers:
    """The header that removes what is kept."""
    return [set_cookie(NAME, "", seconds=0, path=base() or "/")]


def _safe(place: str) -> bool:
    path, _, query = place.partition("?")
    inside = within(path)
    return inside is not None and _local(inside) and _QUERY.fullmatch(query) is not None


def _local(path: str) -> bool:
    return _PAGE.fullmatch(path) is not None
