"""Under which names the server answers, and whose pages may connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit import config

from tests.gate.asking import ask


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8501",
        "LOCALHOST.",
        "app.localhost:1",
        "127.0.0.1:8501",
        "[::1]:8501",
        "10.0.0.7",
    ],
)
def test_it_answers_to_its_own_names_and_to_numbers(host: str) -> None:
    assert ask(host=host).reached


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8501",
        "127.0.0.1.evil.example",
        "user@localhost",
        "localhost/evil",
        "localhost:port",
        "localhost:8501:8501",
        "[::1",
        "local host",
        "evil.example#localhost",
        "xn--localhost-",
    ],
)
def test_it_answers_to_no_other_name(host: str | None) -> None:
    answer = ask(host=host)
    assert (answer.status, answer.reached) == (421, False)
    assert "ATTNLIB_ALLOWED_HOSTS" in answer.body
    assert ask(host=host, websocket=True, headers={"origin": f"http://{host}"}).status == 403


def test_a_load_balancer_asks_without_a_name() -> None:
    for host in (None, "balancer.example"):
        assert ask("/healthz", host=host).reached
        assert ask("/readyz", host=host).reached
        assert not ask("/_stcore/health", host=host).reached
        assert not ask("/healthz/", host=host).reached


def test_two_names_at_once_are_none() -> None:
    assert ask(host="localhost", headers={"Host": "localhost"}).status == 421


def test_names_can_be_allowed(setting: Callable[..., Any]) -> None:
    setting(allowed_hosts=("vit.lan", "*.example.org"), public_url="https://vit.example.com")
    for host in ("vit.lan:80", "a.example.org", "vit.example.com", "VIT.LAN"):
        assert ask(host=host).reached, host
    for host in ("example.org", "vit.lan.evil", "avit.lan", "a.example.com", "aexample.org"):
        assert not ask(host=host).reached, host
    setting(allowed_hosts=("*",))
    assert ask(host="whatever.example").reached


def test_the_address_that_it_is_bound_to_is_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"server.address": "vit.lan", "server.allowedHosts": ["more.lan"]}
    read = config.get_option
    monkeypatch.setattr(config, "get_option", lambda name: options.get(name, read(name)))
    assert ask(host="vit.lan").reached
    assert ask(host="more.lan").reached
    assert not ask(host="other.lan").reached


def connect(origin: str | None, host: str = "localhost:8501", **more: Any) -> bool:
    headers = {} if origin is None else {"origin": origin}
    return ask("/_stcore/stream", websocket=True, host=host, headers=headers, **more).reached


def test_a_page_of_this_server_connects() -> None:
    assert connect("http://localhost:8501")
    assert connect("http://LOCALHOST:8501")
    assert connect("https://localhost", host="localhost")
    assert connect("http://localhost", host="localhost:80")
    assert connect("http://[::1]:8501", host="[::1]:8501")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://evil.example",
        "http://localhost",
        "http://localhost:8502",
        "http://localhost:8501.evil.example",
        "http://localhost:8501@evil.example",
        "file://",
        "chrome-extension://localhost:8501",
        "localhost:8501",
        "http://localhost:8501/path",
    ],
)
def test_no_other_page_connects(origin: str | None) -> None:
    assert not connect(origin)


def test_other_sites_can_be_allowed_to_connect(setting: Callable[..., Any]) -> None:
    setting(allowed_origins=("https://portal.example",), public_url="https://vit.example.org/app")
    assert connect("https://portal.example")
    assert connect("https://vit.example.org")
    assert connect("https://vit.example.org:443")
    assert not connect("http://portal.example")
    assert not connect("https://vit.example.org:8443")


def test_a_page_of_another_site_changes_nothing() -> None:
    foreign = {"origin": "https://evil.example"}
    for method in ("PUT", "DELETE", "POST"):
        answer = ask("/_stcore/upload_file/a/b", method=method, headers=foreign)
        assert (answer.status, answer.reached) == (403, False)
    own = {"origin": "http://localhost:8501"}
    assert ask("/_stcore/upload_file/a/b", method="PUT", headers=own).reached
    assert ask("/", headers=foreign).reached, "a link from elsewhere"
