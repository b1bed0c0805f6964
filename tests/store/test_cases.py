"""What is said of an image, by several people, at once and again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

from attnlib.store import Store

from .making import ADA, BEN, new, said


def _team(store: Store) -> str:
    id = new()
    store.create(ADA, id, "W", "team")
    return id


def test_the_second_sees_what_the_first_wrote(empty: Store) -> None:
    id = _team(empty)
    seen = empty.say(ADA, id, "x", said(), said("start", "old")).case
    first = empty.say(ADA, id, "x", seen, said("fog", "old", "fog", should_be="cat"))
    second = empty.say(BEN, id, "x", seen, said("snow", "snow", should_be="dog"))
    assert first.theirs is None
    assert second.theirs == first.case
    assert second.case.remark.note == "[Ada] fog\n\n[Ben] snow"
    assert second.case.remark.tags == ("fog", "snow")
    assert second.case.remark.should_be == "dog"
    assert (second.case.version, second.case.by) == (3, BEN.id)
    assert empty.history(ADA, id, "x") == [seen, first.case, second.case]
    assert empty.open(ADA, id).cases == {"x": second.case}


def test_a_lost_answer_does_no_harm_even_when_others_went_on(empty: Store) -> None:
    id = _team(empty)
    once = empty.say(ADA, id, "x", said(), said("fog", "a", should_be="cat"))
    assert empty.say(ADA, id, "x", said(), said("fog", "a", should_be="cat")) == once
    # Ben has seen it and decides otherwise; the retry must not undo that.
    later = empty.say(BEN, id, "x", once.case, said("snow", should_be="dog")).case
    again = empty.say(ADA, id, "x", said(), said("fog", "a", should_be="cat"))
    assert again.case == later
    assert again.theirs is None  # the case itself shows it
    assert len(empty.history(ADA, id, "x")) == 2


def test_a_lost_answer_of_a_merge_does_no_harm(empty: Store) -> None:
    id = _team(empty)
    first = empty.say(ADA, id, "x", said(), said("fog")).case
    merge = empty.say(BEN, id, "x", said(), said("snow"))
    again = empty.say(BEN, id, "x", said(), said("snow"))
    assert again == merge and merge.theirs == first
    assert len(empty.history(ADA, id, "x")) == 2


def test_one_person_in_two_tabs_keeps_the_words_of_both(empty: Store) -> None:
    id = _team(empty)
    first = empty.say(ADA, id, "x", said(), said("left tab"))
    second = empty.say(ADA, id, "x", said(), said("right tab"))
    assert "left tab" in second.case.remark.note and "right tab" in second.case.remark.note
    assert second.theirs == first.case


def test_taking_all_back_is_a_version_too(empty: Store) -> None:
    id = _team(empty)
    case = empty.say(ADA, id, "x", said(), said("fog", "a")).case
    bare = empty.say(ADA, id, "x", case, said()).case
    assert (bare.version, bare.remark.note, bare.remark.tags) == (2, "", ())
    assert empty.say(ADA, id, "y", said(), said()).case.version == 0
    assert set(empty.open(ADA, id).cases) == {"x"}


def test_corrected_labels_are_kept_and_no_labels_are_something_else(empty: Store) -> None:
    id = _team(empty)
    case = empty.say(ADA, id, "x", said(), replace(said(), labels=())).case
    assert case.labels == ()
    case = empty.say(ADA, id, "x", case, replace(case, labels=("cat", "dog"))).case
    assert empty.open(ADA, id).cases["x"].labels == ("cat", "dog")
    assert empty.say(ADA, id, "x", case, replace(case, labels=None)).case.labels is None


def test_many_at_once_lose_nothing(connect: Callable[[], Store]) -> None:
    """Eight people, each with a connection of their own, all of whom saw an empty case."""
    id, people = _team(connect()), [replace(ADA, id=f"p{i}", name=f"P{i}") for i in range(8)]
    stores, barrier = [connect() for _ in people], Barrier(len(people))

    def write(place: int) -> None:
        barrier.wait()
        me, store = people[place], stores[place]
        store.say(me, id, "x", said(), said(f"words of {place}", f"tag {place}"))
        store.comment(me, id, new(), "x", f"comment of {place}")

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(write, range(len(people))))
    contents = connect().open(ADA, id)
    case = contents.cases["x"]
    assert case.version == len(people)
    assert set(case.remark.tags) == {f"tag {i}" for i in range(8)}
    assert sorted(case.remark.note.split("\n\n")) == [f"[P{i}] words of {i}" for i in range(8)]
    assert {c.text for c in contents.comments["x"]} == {f"comment of {i}" for i in range(8)}
    assert contents.head.revision == 1 + 2 * len(people)


def test_the_same_call_twice_at_once_is_one(connect: Callable[[], Store]) -> None:
    id, comment = new(), new()
    stores, barrier = [connect() for _ in range(4)], Barrier(4)

    def write(store: Store) -> None:
        barrier.wait()
        store.create(ADA, id, "W")
        store.comment(ADA, id, comment, "x", "hello")
        store.duplicate(ADA, id, "c" * 32, "copy")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, stores))
    assert len(connect().workspaces(ADA)) == 2
    assert len(connect().open(ADA, id).comments["x"]) == 1
