"""Who gives way to whom: work to pages, whole pages to clicks in a part of one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from attnlib.capture.admission import Admission, Asker
from attnlib.dashboard.state import drawing, turns
from attnlib.dashboard.state.drawing import Drawing, Kind
from attnlib.dashboard.state.turns import Turn

LONG = 20.0


class Other:
    """Another thread that draws until it is told to end."""

    def __init__(self, shared: Drawing, kind: Kind) -> None:
        self._there, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._draw, args=(shared, kind))
        self._thread.start()
        assert self._there.wait(LONG)

    def _draw(self, shared: Drawing, kind: Kind) -> None:
        with shared.draws(kind):
            self._there.set()
            self._end.wait(LONG)

    def end(self) -> None:
        self._end.set()
        self._thread.join(LONG)


def beside(work: Callable[[], object]) -> tuple[threading.Thread, threading.Event]:
    """The work in a thread of its own, and an event that says that it is over."""
    over = threading.Event()

    def run() -> None:
        work()
        over.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, over


@pytest.fixture
def shared() -> Iterator[Drawing]:
    yield Drawing()


@pytest.mark.parametrize("kind", ["page", "part"])
def test_work_waits_until_nothing_is_drawn(shared: Drawing, kind: Kind) -> None:
    other = Other(shared, kind)
    _, over = beside(lambda: shared.wait_until_quiet(LONG))
    assert not over.wait(0.2)
    other.end()
    assert over.wait(LONG)


def test_work_goes_on_after_a_while_all_the_same(shared: Drawing) -> None:
    other = Other(shared, "page")
    shared.wait_until_quiet(0.05)
    assert not shared.quiet
    other.end()


def test_a_whole_page_lets_a_click_go_first(shared: Drawing) -> None:
    click = Other(shared, "part")

    def page() -> None:
        with shared.draws("page"):
            shared.give_way()

    _, over = beside(page)
    assert not over.wait(0.2)
    click.end()
    assert over.wait(LONG)


def test_a_click_waits_for_nobody(shared: Drawing) -> None:
    page, other = Other(shared, "page"), Other(shared, "part")
    with shared.draws("part"):
        shared.give_way()
    # Nor does what draws nothing, such as a part that draws itself again by the clock.
    shared.give_way()
    page.end()
    other.end()


def test_a_part_within_a_page_is_the_pages(shared: Drawing) -> None:
    click = Other(shared, "part")

    def page() -> None:
        with shared.draws("page"), shared.draws("part"):
            shared.give_way()

    _, over = beside(page)
    assert not over.wait(0.2)
    click.end()
    assert over.wait(LONG)
    assert shared.quiet


def test_a_page_waits_for_clicks_only_so_long_in_all(
    shared: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "PATIENCE_S", 0.1)
    click = Other(shared, "part")

    def page() -> None:
        with shared.draws("page"):
            for _ in range(1000):
                shared.give_way()

    _, over = beside(page)
    assert over.wait(LONG)
    click.end()


def test_a_page_that_waits_for_work_does_not_hold_it_up(shared: Drawing) -> None:
    with shared.draws("page"):
        assert not shared.quiet
        with shared.waits():
            assert shared.quiet
        assert not shared.quiet
    assert shared.quiet


def test_what_fails_while_it_draws_is_no_longer_drawn(shared: Drawing) -> None:
    with pytest.raises(ZeroDivisionError), shared.draws("page"):
        raise ZeroDivisionError
    assert shared.quiet


def test_people_compute_in_turn() -> None:
    places, order = Admission(1), list[str]()
    first = Turn(places, Asker("ada"), Drawing())
    first.take()

    def another(name: str) -> None:
        turn = Turn(places, Asker(name), Drawing())
        turn.take()
        order.append(name)
        turn.give_way()
        order.append(name)
        turn.give_back()

    thread, over = beside(lambda: another("bob"))
    while not places.wanted:
        assert thread.is_alive()
    first.give_way()
    assert order == ["bob"], "bob made one step, and it is ada's turn again"
    first.give_back()
    assert over.wait(LONG)
    assert order == ["bob", "bob"]
    assert places.free == 1


def test_whoever_leaves_while_it_waits_takes_no_turn() -> None:
    class Gone(Exception):
        pass

    places, asked = Admission(1), list[int]()
    first = Turn(places, Asker("ada"), Drawing())
    first.take()

    def here() -> bool:
        asked.append(1)
        if len(asked) > 1:
            raise Gone
        return True

    second = Turn(places, Asker("bob", here=here), Drawing())
    with pytest.raises(Gone):
        second.take()
    second.give_back()
    first.give_back()
    assert places.free == 1


def test_nobody_waits_for_ever_for_what_another_makes() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    places = Admission(1)
    first = Turn(places, Asker("ada"), Drawing())
    first.take()
    second = Turn(places, Asker("bob"), Drawing(), clock)
    second.take()
    # It goes on, though it has no turn to give back.
    assert now[0] > turns.TURN_S
    second.give_back()
    assert places.free == 0
    first.give_back()
    assert places.free == 1


def test_while_it_only_waits_its_turn_is_anothers() -> None:
    places = Admission(1)
    turn = Turn(places, Asker("ada"), Drawing())
    turn.take()
    before = turns.TURN.set(turn)
    try:
        with turns.released():
            assert places.free == 1
        assert places.free == 0
    finally:
        turns.TURN.reset(before)
    turn.give_back()
    with turns.released():
        pass
    assert places.free == 1
