"""Whose turn it is: against rules that are checked from outside, on drawn orders of events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.capture import admission, passes
from attnlib.capture.admission import IN_A_ROW, Admission, Asker, _Waiter


@dataclass
class Line:
    """An admission without threads: what would wait is asked, and given back, one by one."""

    places: int
    held: list[_Waiter] = field(default_factory=list)
    waiting: list[_Waiter] = field(default_factory=list)
    served: list[_Waiter] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.doors = Admission(self.places)

    def ask(self, person: str, beside: bool) -> _Waiter:
        waiter = _Waiter(Asker(person, beside))
        self.waiting.append(waiter)
        self.doors._line(waiter).join(waiter)
        self.doors._admit()
        self._look()
        return waiter

    def give_back(self, which: int) -> None:
        if self.held:
            del self.held[which % len(self.held)]
            self.doors._give_back()
            self._look()

    def _look(self) -> None:
        new = [waiter for waiter in self.waiting if waiter.admitted.is_set()]
        self.waiting = [waiter for waiter in self.waiting if waiter not in new]
        self.held += new
        self.served += new


ASKED = st.tuples(st.sampled_from("ABCD"), st.booleans())
EVENTS = st.lists(ASKED | st.integers(0, 5), max_size=80)


@given(places=st.integers(1, 3), events=EVENTS)
@settings(max_examples=300, deadline=None)
def test_the_rules_hold_whatever_comes(places: int, events: list[tuple[str, bool] | int]) -> None:
    line = Line(places)
    # How often each that waits was passed over, by what: a person's pass of the same kind, and,
    # of work beside the page, passes of pages in a row.
    passed: dict[int, dict[str, int]] = {}
    in_a_row = 0
    for event in [*events, *[0] * (len(events) + places)]:
        before = list(line.waiting)
        if isinstance(event, int):
            line.give_back(event)
        else:
            before.append(line.ask(*event))
        assert len(line.held) + line.doors.free == places
        assert not line.waiting or not line.doors.free, "nobody waits before an empty place"
        new = [w for w in before if w.admitted.is_set()]
        assert len(new) <= 1
        for one in new:
            mine = [w for w in before if w.asker.person == one.asker.person and w is not one]
            same = [w for w in mine if w.asker.beside == one.asker.beside]
            assert all(before.index(one) < before.index(w) for w in same), "a person's own order"
            for other in before:
                if other is one or other.asker.person == one.asker.person:
                    continue
                if other.asker.beside == one.asker.beside:
                    # Those of its own person that came first have their turn, each once.
                    ahead = [
                        w
                        for w in before[: before.index(other)]
                        if w.asker.person == other.asker.person
                        and w.asker.beside == other.asker.beside
                    ]
                    counts = passed.setdefault(id(other), {})
                    if not ahead:
                        counts[one.asker.person] = counts.get(one.asker.person, 0) + 1
                        assert counts[one.asker.person] < 2, "passed over twice by one person"
            if one.asker.beside:
                waited = [w for w in before if not w.asker.beside]
                assert not waited or in_a_row >= IN_A_ROW, "a page waits for work beside one"
                in_a_row = 0
            elif any(w.asker.beside for w in before):
                in_a_row += 1
                assert in_a_row <= IN_A_ROW, "work beside the page starves"
            else:
                in_a_row = 0
    assert not line.waiting and not line.held
    assert (line.doors._pages._of, line.doors._beside._of) == ({}, {}), "no person is remembered"


def test_a_thousand_passes_stand_before_a_click_once() -> None:
    line = Line(1)
    for _ in range(1000):
        line.ask("A", True)
    click, other = line.ask("B", False), line.ask("C", True)
    line.give_back(0)
    assert line.served[-1] is click
    line.give_back(0)
    line.give_back(0)
    assert other in line.served[-2:]


def until(true: Callable[[], bool]) -> None:
    latest = time.monotonic() + 30
    while not true():
        assert time.monotonic() < latest
        threading.Event().wait(0.001)


@pytest.mark.parametrize("places", [1, 3])
def test_threads_never_hold_more_places_than_there_are(places: int) -> None:
    doors, lock, inside, most = Admission(places), threading.Lock(), 0, 0

    def work(person: str, beside: bool) -> None:
        nonlocal inside, most
        for _ in range(40):
            with doors.place(Asker(person, beside)):
                with lock:
                    inside += 1
                    most = max(most, inside)
                threading.Event().wait(0.0002)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work, args=("ABC"[i % 3], i % 2 == 0)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert most == places == doors.free


class Gone(Exception):
    pass


def test_whoever_is_wanted_no_longer_leaves_and_takes_no_place() -> None:
    doors, wanted, ended = Admission(1), [True], threading.Event()

    def here() -> bool:
        if not wanted[0]:
            raise Gone
        return True

    def wait() -> None:
        with pytest.raises(Gone), doors.place(Asker("A", here=here)):
            raise AssertionError("there was no place")
        ended.set()

    with doors.place(Asker("B")):
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: bool(doors._pages._of))
        wanted[0] = False
        assert ended.wait(30), "while the place is still held"
        assert not doors._pages._of
    assert doors.free == 1
    with pytest.raises(Gone), doors.place(Asker("A", here=here)):
        raise AssertionError("nor where a place was free")
    assert doors.free == 1


def test_whoever_is_away_is_passed_over_and_keeps_their_turn() -> None:
    doors, there, inside = Admission(1), [False], threading.Event()

    def wait() -> None:
        with doors.place(Asker("A", beside=True, here=lambda: there[0])):
            inside.set()

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: bool(doors._beside._of))
    with doors.place(Asker("B", beside=True)):
        assert not inside.is_set(), "the place was free, and the page away"
    there[0] = True
    assert inside.wait(30)
    thread.join(30)
    assert doors.free == 1


def test_an_error_inside_gives_the_place_back() -> None:
    doors = Admission(1)
    with pytest.raises(Gone), doors.place():
        raise Gone
    assert doors.free == 1


def test_a_pass_asks_for_whom_its_thread_works(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asker] = []
    doors = Admission(1)
    place = doors.place
    monkeypatch.setattr(doors, "place", lambda asker: (asked.append(asker), place(asker))[1])
    monkeypatch.setattr(passes, "_admission", lambda: doors)
    monkeypatch.setattr(admission, "_FIND", [lambda: Asker("script")])
    with passes.admitted(), passes.admitted():
        pass
    token = admission.ASKER.set(Asker("work", beside=True))
    try:
        with passes.admitted():
            pass
    finally:
        admission.ASKER.reset(token)
    assert [(a.person, a.beside) for a in asked] == [("script", False), ("work", True)]
