"""The numbers of the process, read by Prometheus' own parser."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from attnlib.capture import passes
from attnlib.dashboard.gate import logs, metrics
from attnlib.dashboard.gate.metrics import Metric
from attnlib.dashboard.state import results
from tests.gate.asking import ask


def read() -> dict[tuple[str, str], float]:
    """Every number, by its name and label."""
    app = Starlette(routes=[Route("/metrics", metrics.show)])
    answer = TestClient(app).get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_every_number_is_read() -> None:
    found = read()
    for metric in metrics.now():
        for label, value in metric.values.items():
            assert found[f"attnlib_{metric.name}", label] == pytest.approx(value), metric.name
    assert ("attnlib_sessions", "") in found


def test_passes_that_wait_run_and_end_are_counted() -> None:
    before = read()["attnlib_passes_total", ""]
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with passes.admitted():
            inside.set()
            leave.wait(30)

    def second() -> None:
        with passes.admitted(), passes.admitted():
            pass

    one, other = threading.Thread(target=first), threading.Thread(target=second)
    one.start()
    assert inside.wait(30)
    other.start()
    latest = time.monotonic() + 30
    while passes.TRAFFIC.waiting != 1:
        assert time.monotonic() < latest
    found = read()
    assert found["attnlib_passes_running", ""] == 1
    assert found["attnlib_passes_waiting", ""] == 1
    leave.set()
    one.join(30)
    other.join(30)
    found = read()
    assert (found["attnlib_passes_running", ""], found["attnlib_passes_waiting", ""]) == (0, 0)
    assert found["attnlib_passes_total", ""] == before + 2


def test_what_the_caches_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    made = results.store.__wrapped__()  # type: ignore[attr-defined]
    monkeypatch.setattr(results, "store", lambda: made)
    made.numbers.put("a", b"x" * 1000)
    found = read()
    assert found["attnlib_cache_entries", "numbers"] == 1
    assert found["attnlib_cache_bytes", "numbers"] == made.numbers.nbytes >= 1000
    assert found["attnlib_cache_limit_bytes", "numbers"] == made.numbers.limit


def test_answers_refusals_and_errors_are_counted() -> None:
    before = read()
    ask("/")
    ask(host="evil.example")
    ask(host="evil.example")
    ask("/_stcore/stream", websocket=True)
    logs.ERRORS.handle(logging.makeLogRecord({"levelno": logging.ERROR}))
    found = read()

    def more(name: str, label: str = "") -> float:
        return found[f"attnlib_{name}", label] - before.get((f"attnlib_{name}", label), 0)

    assert more("refusals_total", "host") == 2
    assert more("refusals_total", "origin") == 1
    assert more("answers_total", "4xx") == 3
    assert more("answers_total", "2xx") == 1
    assert more("errors_total") == 1


def test_large_numbers_keep_every_digit() -> None:
    assert Metric("x", "gauge", "h", {"": 33554433}).lines()[-1] == "attnlib_x 33554433"
