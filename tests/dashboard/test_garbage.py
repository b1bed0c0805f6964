"""Garbage of visitors who left is found, although it was frozen while they were here."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from attnlib.dashboard.state import garbage


class Circle:
    """Like a session of Streamlit: it refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.images = bytes(1000)
        self.me = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_never_dies_is_out_of_the_collectors_sight() -> None:
    garbage.settle()
    assert gc.get_freeze_count() > 10_000
    assert gc.collect() < 1000


def test_a_session_that_was_frozen_alive_is_freed_at_the_next_turn() -> None:
    session = Circle()
    watched = weakref.ref(session)
    garbage.settle()
    del session
    gc.collect()
    assert watched() is not None, "frozen: an ordinary collection does not see it"
    garbage.settle()
    assert watched() is None


def test_it_goes_on_every_few_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    class End(Exception):
        pass

    waited: list[float] = []
    settled: list[int] = []

    def sleep(seconds: float) -> None:
        if len(waited) == 3:
            raise End
        waited.append(seconds)

    monkeypatch.setattr(garbage.time, "sleep", sleep)
    monkeypatch.setattr(garbage, "settle", lambda: settled.append(1))
    with pytest.raises(End):
        garbage._often()
    assert waited == [garbage.EVERY_S] * 3
    assert len(settled) == 3
    assert 60 <= garbage.EVERY_S <= 600
