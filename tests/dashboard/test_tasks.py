"""Long computations on a page: shared, stopped, taken up again, and going on elsewhere."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.state import presence, results
from attnlib.dashboard.state.runner import Progress
from attnlib.errors import AttnlibError


class Bench:
    """What the script below computes, and how often it did."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.hold = threading.Event()
        self.hold.set()
        self.fails = False
        self.salt = uuid.uuid4().hex

    def compute(self, of: str, progress: Progress) -> str:
        self.made.append(of)
        while not self.hold.wait(0.01):
            progress(1, 2)
        progress(2, 2)
        if self.fails:
            raise AttnlibError("This cannot be computed.")
        return f"the result of {of}"


BENCH = Bench()


def script() -> None:
    import streamlit as st

    from attnlib.dashboard.state import tasks
    from tests.dashboard import test_tasks

    bench = test_tasks.BENCH
    of = st.session_state.get("of", "A")
    if st.session_state.get("open", True):
        found = tasks.run(
            "a task",
            (bench.salt, of),
            lambda progress: bench.compute(of, progress),
            button="Compute",
            help="Compute it.",
            eager=st.session_state.get("eager", False),
            shared=st.session_state.get("shared", False),
        )
        st.markdown(str(found))


@pytest.fixture
def bench() -> Iterator[Bench]:
    global BENCH
    BENCH = Bench()
    yield BENCH
    BENCH.hold.set()


def visit(**state: Any) -> AppTest:
    app = AppTest.from_function(script, default_timeout=30)
    for key, value in state.items():
        app.session_state[key] = value
    return app.run()


def said(app: AppTest) -> str:
    assert not app.exception
    return app.markdown[-1].value


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run()
    return app


def ended(app: AppTest) -> AppTest:
    assert app.session_state["tasks"]["a task"]._ended.wait(30)
    return app.run()


def test_a_button_then_the_result(bench: Bench) -> None:
    app = visit()
    assert said(app) == "None"
    assert bench.made == []
    press(app, "Compute")
    assert said(app) == "the result of A"
    assert said(app.run()) == "the result of A"
    assert bench.made == ["A"]


def test_progress_while_it_runs_and_the_means_to_stop(bench: Bench) -> None:
    bench.hold.clear()
    app = visit(eager=True)
    assert said(app) == "None"
    assert app.get("progress")
    press(app, "Stop")
    ended(app)
    assert [w.value for w in app.warning] == ["Stopped."]
    bench.hold.set()
    press(app, "Try again")
    assert said(app) == "the result of A"


def test_a_shared_result_is_there_when_one_comes_back(bench: Bench) -> None:
    app = visit(eager=True, shared=True)
    for of in ("B", "A", "B", "A"):
        app.session_state["of"] = of
        assert said(app.run()) == f"the result of {of}"
    assert bench.made == ["A", "B"]
    assert said(visit(shared=True)) == "the result of A", "and for another visitor, unasked"
    assert bench.made == ["A", "B"]


def test_a_result_that_is_not_shared_is_its_visitors_own(bench: Bench) -> None:
    app = visit(eager=True)
    app.session_state["of"] = "B"
    app.run()
    app.session_state["of"] = "A"
    assert said(app.run()) == "the result of A"
    assert bench.made == ["A", "B", "A"]
    assert said(visit()) == "None"
    assert results.kept(("a task", (bench.salt, "A"))) is None


def test_a_failure_is_not_kept(bench: Bench) -> None:
    bench.fails = True
    app = visit(eager=True, shared=True)
    assert [w.value for w in app.warning] == ["This cannot be computed."]
    bench.fails = False
    assert said(press(app, "Try again")) == "the result of A"


def test_an_error_that_is_handed_out_is_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(of: str, progress: Progress) -> AttnlibError:
        return AttnlibError(f"There is no {of}.")

    monkeypatch.setattr(bench, "compute", refused)
    assert said(visit(eager=True, shared=True)) == "There is no A."
    assert results.kept(("a task", (bench.salt, "A"))) is None


def test_it_goes_on_while_another_page_is_open(bench: Bench) -> None:
    bench.hold.clear()
    app = visit(eager=True)
    task = app.session_state["tasks"]["a task"]
    app.session_state["open"] = False
    app.run()
    assert not app.get("progress") and not task.finished
    bench.hold.set()
    assert task._ended.wait(30)
    app.session_state["open"] = True
    assert said(app.run()) == "the result of A"
    assert bench.made == ["A"]


def test_another_key_stops_what_nobody_wants_any_longer(bench: Bench) -> None:
    bench.hold.clear()
    app = visit(eager=True)
    first = app.session_state["tasks"]["a task"]
    app.session_state["of"] = "B"
    app.run()
    assert first._ended.wait(30)
    assert first.failure == "Stopped."
    bench.hold.set()
    assert said(ended(app)) == "the result of B"


def test_it_ends_with_its_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.hold.clear()
    app = visit(eager=True)
    monkeypatch.setattr("attnlib.dashboard.state.runner.GRACE_S", -1.0)
    monkeypatch.setattr(presence, "connected", lambda session: False)
    ended(app)
    assert any("page was closed" in w.value for w in app.warning)
    monkeypatch.setattr(presence, "connected", lambda session: True)
    bench.hold.set()
    assert said(press(app, "Try again")) == "the result of A"
