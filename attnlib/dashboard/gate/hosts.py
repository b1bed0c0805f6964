"""Under which names this server answers, and whose pages may connect to it.

A page of another site that makes its own name point here (DNS rebinding) sends that name as
`Host`; a page that connects from elsewhere sends its own `Origin`.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from streamlit import config

from attnlib import settings
from attnlib.dashboard.gate.asgi import Scope, header
from attnlib.dashboard.state.signed import public_origin

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?")
_PORTS = {"http": 80, "https": 443}


def split(host: str | None) -> tuple[str, int | None] | None:
    """The name in lower case, without a last dot, and the port; None if it is no host."""
    found = _HOST.fullmatch(host or "")
    if found is None:
        return None
    port = found["port"] and int(found["port"])
    return found["name"].lower().rstrip(".").strip("[]"), port or None


def answers_to(host: str | None) -> bool:
    """Whether this server may be asked under this name.

    An address in numbers is nobody's name: no other site can make its pages come from it.
    """
    found = split(host)
    if found is None:
        return False
    name = found[0]
    return is_address(name) or any(_fits(name, pattern) for pattern in _names())


def is_address(name: str) -> bool:
    """Whether this is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _names() -> list[str]:
    chosen = settings.current()
    own = [urlsplit(place).hostname or "" for place in (chosen.public_url, public_origin())]
    bound = [config.get_option("server.address"), *config.get_option("server.allowedHosts")]
    if config.is_manually_set("browser.serverAddress"):
        bound.append(config.get_option("browser.serverAddress"))
    listed = [str(name).strip().lower().rstrip(".") for name in (*bound, *chosen.allowed_hosts)]
    return [name for name in ("localhost", "*.localhost", *own, *listed) if name]


def _fits(name: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def connects_from_here(scope: Scope) -> bool:
    """Whether the page that asks is one of ours: its `Origin` is this server's own."""
    origin = header(scope, "origin")
    parts = _origin(origin)
    if origin is None or parts is None:
        return False
    chosen = settings.current()
    listed = (chosen.public_url, public_origin(), *chosen.allowed_origins)
    if parts in [_origin(urlsplit(place)._replace(path="", query="").geturl()) for place in listed]:
        return True
    here = split(header(scope, "host"))
    scheme, name, port = parts
    # A proxy that speaks TLS does not always say so: the scheme is not compared.
    return here is not None and (name, port) == (here[0], here[1] or _PORTS[scheme])


def _origin(text: str | None) -> tuple[str, str, int] | None:
    """Scheme, name and port of an origin; None if it is none, such as ``null``."""
    scheme, separator, host = (text or "").partition("://")
    found = split(host)
    if not separator or scheme not in _PORTS or found is None:
        return None
    return scheme, found[0], found[1] or _PORTS[scheme]


def peer(scope: Scope) -> str:
    """The address that the request came from; "" if it is not known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def secure(scope: Scope) -> bool:
    """Whether the browser asked by TLS, as this server or a proxy that is believed saw it."""
    if scope["scheme"] in ("https", "wss"):
        return True
    said = (header(scope, "x-forwarded-proto") or "").strip().lower()
    return said == "https" and _trusted(peer(scope))


def _trusted(address: str) -> bool:
    if not is_address(address):
        return False
    found = ipaddress.ip_address(address)
    networks = (ipaddress.ip_network(n, strict=False) for n in settings.current().trusted_proxies)
    return any(found in network for network in networks)


def from_this_machine(scope: Scope) -> bool:
    """Whether a program of this machine asks by itself, and no proxy for somebody else."""
    address, host = peer(scope), split(header(scope, "host"))
    if host is None or not is_address(address) or not ipaddress.ip_address(address).is_loopback:
        return False
    forwarded = any(
        name == b"forwarded" or name == b"via" or name.startswith(b"x-forwarded-")
        for name, _ in scope["headers"]
    )
    local = host[0] == "localhost" or (
        is_address(host[0]) and ipaddress.ip_address(host[0]).is_loopback
    )
    return local and not forwarded
