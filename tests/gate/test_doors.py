"""Every address of the server: open by a list with reasons, or shut to whoever is not signed in."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from starlette.routing import Mount, Route, WebSocketRoute
from streamlit import runtime
from streamlit.runtime import Runtime

from attnlib.dashboard.gate import doors, serving
from attnlib.dashboard.state import startup
from tests.gate.asking import ORIGIN, USER, Answer, ask, claims, signed_in, unsigned

HOST = ORIGIN.removeprefix("https://")
# What a pattern of Streamlit's stands for.
FILLED = {"{file_id:path}": "a.png", "{path:path}": "a", "{session_id}": "s", "{file_id}": "f"}


@pytest.fixture(scope="module")
def routes() -> Iterator[list[Any]]:
    """All that the app of this repository serves."""
    before = Runtime._instance
    Runtime._instance = None
    try:
        options = {**serving.options(), "secrets": None}
        yield st.App(startup.MAIN, **options)._build_starlette_app().routes
    finally:
        Runtime._instance = before


def paths(routes: list[Any]) -> list[tuple[str, str]]:
    """Method and an address of every route."""
    found = []
    for route in routes:
        if isinstance(route, Mount):
            found += [("GET", "/"), ("GET", "/static/js/index.js"), ("GET", "/cls-attention")]
            found += [("GET", "/favicon.png"), ("POST", "/anything"), ("GET", "/a/b")]
            continue
        assert isinstance(route, Route | WebSocketRoute), route
        path = route.path
        for pattern, text in FILLED.items():
            path = path.replace(pattern, text)
        assert "{" not in path, path
        methods = ["WS"] if isinstance(route, WebSocketRoute) else route.methods or []
        found += [(method, path) for method in methods]
    return found


def request(method: str, path: str, **more: Any) -> Answer:
    headers = {"origin": ORIGIN, **more.pop("headers", {})}
    if method == "WS":
        return ask(path, websocket=True, host=HOST, headers=headers, **more)
    return ask(path, method=method, host=HOST, headers=headers, **more)


def test_whoever_is_not_signed_in_gets_nothing_from_any_address(
    routes: list[Any], signing_in: Any
) -> None:
    asked = paths(routes)
    assert len(asked) > 25
    assert ("WS", "/_stcore/stream") in asked
    open_to_all = set()
    for method, path in asked:
        for cookies in (None, unsigned(), {USER: ""}, signed_in(secret="another secret" * 4)):
            answer = request(method, path, cookies=cookies, client="8.8.8.8")
            if answer.reached or path == "/sign-in":
                open_to_all.add(path)
            else:
                assert answer.status in (401, 403), (method, path)
    assert open_to_all <= set(doors.PUBLIC)
    assert all(reason for reason in doors.PUBLIC.values())
    # Nothing is public that does not exist.
    assert set(doors.PUBLIC) - {"/sign-in"} <= {path for _, path in asked}


def test_whoever_is_signed_in_gets_what_belongs_to_nobody(
    routes: list[Any], signing_in: Any
) -> None:
    for method, path in paths(routes):
        if doors.is_operators(path) or path.startswith((doors.MEDIA, doors.UPLOAD)):
            continue
        assert request(method, path, cookies=signed_in(), client="8.8.8.8").reached, (method, path)


@pytest.mark.parametrize(
    "cookies",
    [
        {},
        {USER: "junk"},
        {USER: '"'},
        unsigned(),
        signed_in(secret="another secret of the tests, as long as the other"),
        signed_in(origin="https://elsewhere.example"),
        signed_in(origin=None),
        signed_in(is_logged_in=False),
        signed_in(iat=time.time() - 1000 * 3600),
        {"_streamlit_user_tokens": signed_in()[USER]},
    ],
)
def test_a_cookie_that_is_not_ours_is_none(signing_in: Any, cookies: dict[str, str]) -> None:
    answer = ask("/", host=HOST, cookies=cookies)
    assert (answer.status, answer.reached) == (401, False)
    socket = request("WS", "/_stcore/stream", cookies=cookies)
    assert not socket.reached


def test_a_person_with_many_groups_is_signed_in(signing_in: Any) -> None:
    cookies = signed_in(groups=[secrets.token_hex(20) for _ in range(300)])
    assert len(cookies) > 2, "Streamlit has split the cookie"
    assert ask("/", host=HOST, cookies=cookies).reached
    del cookies[f"{USER}_1"]
    assert not ask("/", host=HOST, cookies=cookies).reached


def test_whoever_has_no_role_is_told_so(signing_in: Any, setting: Callable[..., Any]) -> None:
    setting(default_role="none")
    answer = ask("/", host=HOST, cookies=signed_in())
    assert (answer.status, answer.reached) == (403, False)
    assert "may not use this server" in answer.body
    assert 'href="/auth/logout"' in answer.body


def test_the_sign_in_stays_on_when_its_configuration_is_lost(signing_in: Any) -> None:
    assert not ask("/", host=HOST).reached
    st.runtime.secrets.secrets_singleton._reset()
    assert not ask("/", host="localhost").reached
    assert not ask("/", host="localhost", cookies=signed_in()).reached
    assert not ask("/", host="localhost", cookies=signed_in(origin="")).reached


def test_on_a_laptop_nobody_signs_in() -> None:
    for path in ("/", "/cls-attention", "/media/a.png", "/_stcore/upload_file/s/f"):
        assert ask(path).reached
    assert ask("/sign-in").headers["location"] == "/"


# -- what is for whoever runs the server ----------------------------------------------------------

OPERATORS = ["/metrics", "/_stcore/metrics", "/_stcore/agent/openapi.json", "/_stcore/agent/mcp"]


@pytest.mark.parametrize("path", OPERATORS)
def test_numbers_are_for_this_machine(path: str) -> None:
    assert ask(path).reached
    assert ask(path, client="::1", host="[::1]").reached
    for more in (
        {"client": "10.0.0.3"},
        {"client": ""},
        {"host": "10.0.0.1"},
        {"headers": {"x-forwarded-for": "127.0.0.1"}},
        {"headers": {"forwarded": "for=127.0.0.1"}},
        {"headers": {"via": "1.1 proxy"}},
    ):
        answer = ask(path, **more)  # type: ignore[arg-type]
        assert (answer.status, answer.reached) == (403, False), more


@pytest.mark.parametrize("path", OPERATORS)
def test_with_a_token_they_are_for_who_has_it(
    path: str, setting: Callable[..., Any], signing_in: Any
) -> None:
    setting(metrics_token="a token")
    for said in (None, "Bearer", "Bearer a", "Bearer a tokenn", "Basic a token", "a token"):
        headers = {} if said is None else {"authorization": said}
        answer = ask(path, headers=headers, cookies=signed_in())
        assert (answer.status, answer.reached) == (401, False), said
    assert ask(path, client="8.8.8.8", headers={"authorization": "Bearer a token"}).reached
    assert ask(path, client="8.8.8.8", headers={"authorization": "bearer  a token"}).reached


def test_a_token_that_is_not_ascii(setting: Callable[..., Any]) -> None:
    setting(metrics_token="ключ")
    assert ask("/metrics", headers={"authorization": "Bearer é"}).status == 401


# -- files of one person --------------------------------------------------------------------------


@dataclass
class Media:
    """As much of Streamlit's files as the gate reads."""

    _files_by_session_and_coord: dict[str, dict[str, str]] = field(default_factory=dict)
    _file_metadata: dict[str, object] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)


@pytest.fixture
def media(monkeypatch: pytest.MonkeyPatch, signing_in: Any) -> Media:
    """Two people, each with a session; a picture of the first."""
    sessions = [
        SimpleNamespace(session=SimpleNamespace(id=f"of-{name}", _user_info=claims(name)))
        for name in ("ada", "bo")
    ]
    sessions.append(SimpleNamespace(session=SimpleNamespace(id="of-nobody", _user_info={})))
    found = Media({"of-ada": {"1": "hash1"}, "of-bo": {"1": "hash2"}}, {"hash1": 1, "hash2": 1})
    manager = SimpleNamespace(list_sessions=lambda: sessions)
    instance = SimpleNamespace(media_file_mgr=found, _session_mgr=manager)
    monkeypatch.setattr(runtime, "get_instance", lambda: instance)
    monkeypatch.setattr(doors, "_SEEN", doors._Seen(2))
    monkeypatch.setattr(doors, "PATIENCE", 0.2)
    return found


def status(path: str, name: str, method: str = "GET") -> int:
    return request(method, path, cookies=signed_in(name)).status


def test_a_picture_is_given_to_who_sees_it_alone(media: Media) -> None:
    assert status("/media/hash1.png", "ada") == 200
    assert status("/media/hash1.png", "bo") == 404
    assert status("/media/hash2.png", "bo") == 200
    assert status("/media/hash1", "bo", "HEAD") == 404
    assert status("/media/unknown.png", "ada") == 404
    media._files_by_session_and_coord["of-bo"]["2"] = "hash1"
    assert status("/media/hash1.png", "bo") == 200, "now shown to both"


def test_a_picture_may_be_asked_for_again_between_two_runs(media: Media) -> None:
    assert status("/media/hash1.png", "ada") == 200
    del media._files_by_session_and_coord["of-ada"]
    assert status("/media/hash1.png", "ada") == 200
    assert status("/media/hash1.png", "bo") == 404
    began = time.monotonic()
    assert status("/media/hash1.png", "cy") == 404
    assert time.monotonic() - began >= 0.2, "it waits for the run that is under way"


def test_only_so_many_pictures_are_remembered(media: Media) -> None:
    seen = doors._Seen(2)
    for file in ("a", "b", "a", "c"):
        seen.add("ada", file)
    assert [("ada", file) in seen for file in "abc"] == [True, False, True]


def test_nobody_uploads_into_another_session(media: Media) -> None:
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert status("/_stcore/upload_file/of-ada/f", "ada", method) == 200
        assert status("/_stcore/upload_file/of-ada/f", "bo", method) == 404
        assert status("/_stcore/upload_file/of-nobody/f", "bo", method) == 404
        assert status("/_stcore/upload_file/gone/f", "bo", method) == 404


def test_the_guide_names_every_address_that_is_not_a_persons() -> None:
    guide = (Path(__file__).parents[2] / "docs/hosting.md").read_text()
    for path in (*doors.PUBLIC, *doors.OPERATOR, doors.MEDIA, doors.UPLOAD):
        assert f"`{path}…`" in guide or f"`{path}`" in guide, path
