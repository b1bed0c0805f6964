"""Whether the process lives and is ready, for whoever watches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from attnlib.dashboard.gate import health as routes
from attnlib.dashboard.state import health, startup


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(health, "_CHECKS", {})
    monkeypatch.setattr(routes, "_READINESS", routes._Readiness())
    monkeypatch.setattr(routes, "FRESH", 0.0)
    app = Starlette(routes=[Route("/healthz", routes.alive), Route("/readyz", routes.ready)])
    with TestClient(app) as found:
        yield found


def test_it_lives(client: TestClient) -> None:
    health.register("store", lambda: 1 / 0)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_it_is_ready_when_every_check_works(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"ready": True, "failing": []}
    health.register("model", lambda: None)
    assert client.get("/readyz").status_code == 200


def test_a_check_that_fails_is_named_and_nothing_else_is_said(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> None:
        raise ConnectionError("postgresql://user:hunter2@db is gone")

    health.register("model", lambda: None)
    health.register("store", gone)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "failing": ["store"]}
    assert "is gone" in caplog.text
    health.register("store", lambda: None)
    assert client.get("/readyz").status_code == 200, "it recovers by itself"


def test_a_check_that_hangs_is_one_that_fails(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PATIENCE", 0.05)
    release, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        release.wait(30)

    health.register("store", hang)
    try:
        for _ in range(3):
            assert client.get("/readyz").status_code == 503
        assert len(asked) == 1, "however often one asks, one thread waits"
    finally:
        release.set()
    monkeypatch.setattr(routes, "PATIENCE", 5.0)
    assert client.get("/readyz").status_code == 200


def test_whoever_asks_often_hears_the_same(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "FRESH", 1000.0)
    asked: list[int] = []
    health.register("store", lambda: asked.append(1))
    for _ in range(5):
        assert client.get("/readyz").status_code == 200
    assert len(asked) == 1


def test_it_is_not_ready_before_the_model_is_there(client: TestClient) -> None:
    warm = startup._Warm()
    health.register("model", warm.check)
    assert client.get("/readyz").json()["failing"] == ["model"]
    warm.done = True
    assert client.get("/readyz").status_code == 200
