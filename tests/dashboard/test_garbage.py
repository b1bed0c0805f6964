"""Garbage of visitors who left is found, although it was frozen while they were here."""

from __future__ import annotations

import gc
import threading
import time
import tomllib
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

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

    really = time.sleep

    def sleep(seconds: float) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The thread of an app that another test started.
            return really(seconds)
        waited.append(seconds)
        if sum(waited) > 3 * garbage.EVERY_S:
            raise End

    left: list[weakref.ref[Circle]] = []

    def leave() -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        # What a visitor leaves between two turns is free before the next turn.
        assert all(watched() is None for watched in left)
        left.append(weakref.ref(Circle()))
        settled.append(1)

    monkeypatch.setattr(garbage, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(garbage, "settle", leave)
    with pytest.raises(End):
        garbage._often()
    assert set(waited) == {garbage.SOON_S}
    assert len(settled) == 3
    assert garbage.SOON_S <= 30
    assert 60 <= garbage.EVERY_S <= 600


def test_streamlit_leaves_the_collecting_to_us() -> None:
    with open(".streamlit/config.toml", "rb") as file:
        assert tomllib.load(file)["runner"]["postScriptGC"] is False
