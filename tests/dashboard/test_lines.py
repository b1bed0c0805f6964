"""So many computations of one person at a time, and whose passes they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.capture import admission
from attnlib.dashboard.state import presence, runner
from attnlib.dashboard.state.lines import Lines
from attnlib.dashboard.state.runner import Progress, Work

EVENTS = st.lists(st.tuples(st.sampled_from(["join", "end", "leave"]), st.sampled_from("ABC")))


@given(most=st.integers(1, 3), events=EVENTS)
@settings(max_examples=200, deadline=None)
def test_against_a_list_of_what_should_happen(most: int, events: list[tuple[str, str]]) -> None:
    """The model: of each person, what has joined and neither ended nor left; the first run."""
    lines, begun = Lines(lambda: most), list[tuple[str, int]]()
    model: dict[str, list[tuple[str, int]]] = {p: [] for p in "ABC"}
    begins: dict[tuple[str, int], Callable[[], None]] = {}
    for number, (what, person) in enumerate(events):
        mine = model[person]
        if what == "join":
            one = person, number
            begins[one] = lambda one=one: begun.append(one)
            mine.append(one)
            lines.join(person, begins[one])
        elif what == "end" and mine:
            begun.remove(mine.pop(0))
            lines.end(person)
        elif what == "leave" and mine:
            last = mine[-1]
            waited = len(mine) > most
            assert lines.waits(person, begins[last]) == waited
            assert lines.leave(person, begins[last]) == waited
            if waited:
                mine.pop()
        assert sorted(begun) == sorted(one for each in model.values() for one in each[:most])
    for person, mine in model.items():
        for _ in mine:
            lines.end(person)
    assert not lines._running and not lines._waiting


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def until(true: Callable[[], bool]) -> None:
    latest = time.monotonic() + 30
    while not true():
        assert time.monotonic() < latest
        threading.Event().wait(0.001)


def test_more_work_than_one_may_have_waits_and_says_so(
    monkeypatch: pytest.MonkeyPatch, hold: threading.Event
) -> None:
    monkeypatch.setattr(runner, "_LINES", Lines(lambda: 2))
    begun: list[str] = []

    def held(name: str) -> Callable[[Progress], None]:
        def compute(progress: Progress) -> None:
            begun.append(name)
            assert hold.wait(30)

        return compute

    mine = [Work(held(f"A{i}"), person="A") for i in range(4)]
    other = Work(held("B"), person="B")
    drawn = Work(held("drawn"), person="A", counted=False)
    saving = Work(held("saving"))
    for work in (*mine, other, drawn, saving):
        work.start()
    until(lambda: len(begun) == 5)
    assert sorted(begun) == ["A0", "A1", "B", "drawn", "saving"]
    assert [w.waiting for w in mine] == [False, False, True, True]
    mine[2].stop()
    assert (mine[2].finished, mine[2].failure, mine[2].waiting) == (True, "Stopped.", False)
    hold.set()
    assert mine[3]._ended.wait(30)
    until(lambda: not runner._LINES._running)
    assert [w.failure for w in (*mine, other, drawn, saving)] == ["", "", "Stopped.", *[""] * 4]
    assert "A2" not in begun


def test_work_that_waits_for_a_pass_ends_as_soon_as_it_is_stopped() -> None:
    doors, waits = admission.Admission(1), threading.Event()

    def compute(progress: Progress) -> None:
        waits.set()
        with doors.place(admission.asker()):
            raise AssertionError("it was stopped before")

    work = Work(compute, person="A")
    with doors.place():
        work.start()
        assert waits.wait(30)
        work.stop()
        assert work._ended.wait(30), "while another pass runs"
    assert work.failure == "Stopped."
    assert doors.free == 1


def test_work_of_a_page_that_is_away_takes_no_turn_and_goes_on_when_it_is_back() -> None:
    doors, there = admission.Admission(1), [False]
    passes: list[int] = []

    def compute(progress: Progress) -> None:
        for i in range(3):
            with doors.place(admission.asker()):
                passes.append(i)

    work = Work(compute, person="A", connected=lambda: there[0])
    work.start()
    until(lambda: bool(doors._beside._of))
    with doors.place(admission.Asker("B", beside=True)):
        pass
    assert not passes
    there[0] = True
    assert work._ended.wait(30)
    assert passes == [0, 1, 2]


def test_passes_of_work_are_its_makers_and_come_after_pages() -> None:
    found: list[admission.Asker] = []
    Work(lambda progress: found.append(admission.asker()), person="ada").run()
    assert [(a.person, a.beside) for a in found] == [("ada", True)]
    assert admission.ASKER.get() is None


def test_a_script_asks_for_its_person_and_gives_up_when_another_run_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check() -> None:
        raise InterruptedError

    assert presence.asker() is admission.NOBODY, "no script runs here"
    context = SimpleNamespace(session_id="tab 1", yield_check=check)
    monkeypatch.setattr(presence, "get_script_run_ctx", lambda suppress_warning: context)
    asker = presence.asker()
    assert (asker.person, asker.beside) == ("tab 1", False)
    with pytest.raises(InterruptedError):
        asker.here()
    monkeypatch.setattr(presence.people, "sign_in_is_on", lambda: True)
    monkeypatch.setattr(presence.people, "person", lambda: SimpleNamespace(id="issuer|ada"))
    assert presence.person() == "issuer|ada", "two tabs of one person are one"
