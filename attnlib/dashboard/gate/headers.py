"""What browsers are told to refuse, whatever a page of ours would ask of them."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from streamlit.file_util import get_static_dir

from attnlib import settings
from attnlib.dashboard.gate.asgi import Headers


def _inline() -> str:
    """The scripts that Streamlit's own page holds, by what they are."""
    text = (Path(get_static_dir()) / "index.html").read_text()
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    return "".join(f" 'sha256-{digest}'" for digest in digests)


# No host but this one. Components are loaded from `blob:`; Streamlit's styles and ours stand in the
# page. Nothing needs `unsafe-eval`: Streamlit's Vega reads the expressions of a chart itself, and
# its numbers of 64 bits go on without WebAssembly.
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self' blob:" + _inline(),
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' data: blob:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "manifest-src": "'self'",
    "frame-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
_ALWAYS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Addresses hold names of images: no other site learns them.
    "referrer-policy": "same-origin",
    "permissions-policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_YEAR = 365 * 24 * 3600  # seconds


def hardened(headers: Headers, *, tls: bool, request: str) -> Headers:
    """The headers of an answer with those that every answer has, which win.

    Args:
        tls: whether the browser asked by TLS.
        request: name of the request in the log.
    """
    own = {**_ALWAYS, "x-request-id": request}
    if settings.current().allowed_origins:
        own["cross-origin-resource-policy"] = "cross-origin"
    if tls:
        own["strict-transport-security"] = f"max-age={_YEAR}"
    kept = [(name, value) for name, value in headers if name.lower().decode() not in own]
    if tls:
        kept = [(name, _only_by_tls(name, value)) for name, value in kept]
    return kept + [(name.encode(), value.encode()) for name, value in own.items()]


def _only_by_tls(name: bytes, value: bytes) -> bytes:
    """Cookies that were given by TLS are sent by TLS alone."""
    cookie = name.lower() == b"set-cookie"
    return value + b"; Secure" if cookie and b"; secure" not in value.lower() else value
