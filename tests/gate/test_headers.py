"""What every answer tells a browser to refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.gate.asking import ask


def policy(answer: Any) -> dict[str, list[str]]:
    parts = [part.split() for part in answer.headers["content-security-policy"].split(";")]
    return {name: values for name, *values in parts}


def test_every_answer_names_no_other_host() -> None:
    for answer in (ask("/"), ask(host="evil.example"), ask("/metrics", client="8.8.8.8")):
        found = policy(answer)
        assert found["default-src"] == ["'none'"]
        assert found["frame-ancestors"] == ["'none'"]
        allowed = {"'self'", "'none'", "'unsafe-inline'", "data:", "blob:"}
        for name, values in found.items():
            rest = [v for v in values if v not in allowed]
            assert all(re.fullmatch(r"'sha256-[\w+/=]+'", value) for value in rest), (name, rest)
        assert "'unsafe-inline'" not in found["script-src"]
        assert "data:" not in found["script-src"]


def test_every_answer_is_hardened() -> None:
    headers = ask("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin", "what the app says does not win"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("scheme", "client", "said", "tls"),
    [
        ("http", "127.0.0.1", None, False),
        ("https", "8.8.8.8", None, True),
        ("http", "8.8.8.8", "https", False),
        ("http", "10.1.2.3", "https", True),
        ("http", "10.1.2.3", "http", False),
        ("http", "10.2.2.3", "https", False),
        ("http", "", "https", False),
    ],
)
def test_behind_tls_only_by_tls(
    setting: Callable[..., Any], scheme: str, client: str, said: str | None, tls: bool
) -> None:
    setting(trusted_proxies=("10.1.0.0/16",))
    headers = {"x-forwarded-proto": said} if said else {}
    answer = ask("/", scheme=scheme, client=client, headers=headers)
    assert ("strict-transport-security" in answer.headers) == tls
    assert answer.cookies == ["own=1; Path=/" + ("; Secure" if tls else "")]


def test_a_request_has_a_name() -> None:
    assert ask("/", headers={"x-request-id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    made = {ask("/").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("a b", "x" * 65, "a\nb", "<script>", ""):
        found = ask("/", headers={"x-request-id": bad}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", found), bad
