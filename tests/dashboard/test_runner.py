"""The one rule of when work beside the page ends, under a clock that the test moves."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from attnlib.capture.admission import ASKER, NOBODY, Admission
from attnlib.dashboard.state import presence, turns
from attnlib.dashboard.state.runner import GRACE_S, Progress, Work
from attnlib.errors import ImageError

ROOT = Path(__file__).parents[2]


class Clock:
    """Time that passes only when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def stepping(
    clock: Clock, seconds: float, then: Callable[[int], None] = lambda step: None
) -> object:
    """Work of ten steps, each of so many seconds."""

    def compute(progress: Progress) -> str:
        for step in range(10):
            progress(step, 10)
            clock.now += seconds
            then(step)
        return "made"

    return compute


def test_a_result_and_its_steps() -> None:
    work: Work[str] = Work(stepping(Clock(), 1.0))  # type: ignore[arg-type]
    assert (work.finished, work.result) == (False, None)
    work.run()
    assert (work.finished, work.result, work.failure) == (True, "made", "")
    assert (work.done, work.total) == (9, 10)


def test_nobody_needs_to_look_while_the_session_is_connected() -> None:
    clock = Clock()
    work: Work[str] = Work(stepping(clock, 3600.0), connected=lambda: True, clock=clock)  # type: ignore[arg-type]
    work.run()
    assert work.result == "made"


def test_a_session_that_is_gone_longer_than_the_grace_stops_it() -> None:
    clock = Clock()
    work: Work[str] = Work(stepping(clock, 4.0), connected=lambda: False, clock=clock)  # type: ignore[arg-type]
    work.run()
    assert work.result is None
    assert "page was closed" in work.failure
    # First missed at the start; over the grace at the first step past 15 s.
    assert clock.now - 100.0 == 16.0 > GRACE_S
    assert work.done == 4


def test_a_session_that_comes_back_within_the_grace_keeps_it() -> None:
    clock, there = Clock(), [True]

    def reload(step: int) -> None:
        # Away for 12 s at a time, twice: 24 s in all, but never longer than the grace.
        there[0] = step not in (2, 3, 4, 6, 7, 8)

    work: Work[str] = Work(
        stepping(clock, 4.0, reload),  # type: ignore[arg-type]
        connected=lambda: there[0],
        clock=clock,
    )
    work.run()
    assert work.result == "made"


def test_stop_ends_it_at_its_next_step() -> None:
    work: Work[str] = Work(
        stepping(Clock(), 1.0, lambda step: work.stop() if step == 3 else None)  # type: ignore[arg-type]
    )
    work.run()
    assert (work.result, work.failure, work.done) == (None, "Stopped.", 4)


def test_work_that_was_stopped_while_it_waited_never_begins() -> None:
    begun: list[int] = []
    work = Work(lambda progress: begun.append(1))
    work.stop()
    work.run()
    assert not begun
    assert work.failure == "Stopped."


def test_failures_in_words(caplog: pytest.LogCaptureFixture) -> None:
    def refused(progress: Progress) -> None:
        raise ImageError("This is no image.")

    def broken(progress: Progress) -> None:
        raise KeyError("secret/path")

    known, unknown = Work(refused), Work(broken)
    known.run()
    unknown.run()
    assert known.failure == "This is no image."
    assert "log" in unknown.failure and "secret" not in unknown.failure
    assert "secret/path" in caplog.text
    assert known.finished and unknown.finished


def test_it_runs_in_another_thread_and_the_wait_ends_with_it() -> None:
    where: list[threading.Thread] = []
    work = Work(lambda progress: where.append(threading.current_thread()))
    work.start(wait=30)
    assert work.finished
    assert where != [threading.current_thread()]


def test_more_work_at_once_than_there_are_processors() -> None:
    """Each waits for all others: a pool as small as the machine would stand still."""
    together = threading.Barrier(16)
    many = [Work(lambda progress: together.wait(30)) for _ in range(16)]
    for work in many:
        work.start()
    for work in many:
        work._ended.wait(30)
    assert [work.failure for work in many] == [""] * 16


def test_the_end_of_the_process_does_not_wait_for_endless_work() -> None:
    code = (
        "import threading\n"
        "from attnlib.dashboard.state.runner import Work\n"
        "begun, tick = threading.Event(), threading.Event()\n"
        "def endless(progress):\n"
        "    while True:\n"
        "        begun.set(); progress(0, 1); tick.wait(0.01)\n"
        "work = Work(endless)\n"
        "work.start()\n"
        "assert begun.wait(30)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()


def test_the_runtime_is_asked_for_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        active: frozenset[str] = frozenset({"a"})

        def is_active_session(self, session: str) -> bool:
            return session in self.active

    assert presence.connected("a"), "without a server nobody is gone"
    monkeypatch.setattr(presence.runtime, "exists", lambda: True)
    monkeypatch.setattr(presence.runtime, "get_instance", Runtime)
    assert presence.connected("a")
    assert not presence.connected("b")


def test_whoever_left_keeps_no_turn_from_those_who_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places, passes = Admission(1), Admission(1)
    monkeypatch.setattr(turns, "places", lambda: places)
    there, reached = threading.Event(), threading.Event()
    there.set()

    def one_pass(progress: Progress) -> str:
        there.clear()  # the browser is closed
        reached.set()
        with passes.place(ASKER.get() or NOBODY):
            return "made"

    passes.take()  # somebody's pass is running
    left: Work[str] = Work(one_pass, connected=there.is_set, person="ada")
    left.start()
    assert reached.wait(20)
    other: Work[str] = Work(lambda progress: "at once", connected=lambda: True, person="bob")
    # Longer than this it would go on without a turn.
    other.start(wait=turns.TURN_S / 2)
    assert other.result == "at once" and not left.finished
    passes.give_back()
    there.set()
    assert left._ended.wait(20)
    assert left.result == "made"
