"""Two people change one case at once: properties of the merge, on any notes and tags."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from attnlib.data.remarks import Remark
from attnlib.store.merge import authors, merged, paragraphs
from attnlib.store.records import Case

WORDS = ["ear", "cut off", "[Ada] fog", "blurred\nedge", "label", "ä🐱", "dog?"]
# A word that stands in no other one, so that it can be looked for.
SENTENCE = st.sampled_from(WORDS)
NOTE = st.lists(SENTENCE, max_size=4, unique=True).map("\n\n".join)
TAGS = st.lists(st.sampled_from("abcde"), max_size=4, unique=True).map(tuple)
LABELS = st.none() | st.lists(st.sampled_from(["cat", "dog"]), max_size=2, unique=True).map(tuple)
CASE = st.builds(Case, st.builds(Remark, TAGS, NOTE, st.sampled_from(["", "cat", "dog"])), LABELS)
# More at CI's cost of a second or two.
CAREFULLY = settings(max_examples=200, deadline=None)


def _by(case: Case, name: str, version: int) -> Case:
    return Case(case.remark, case.labels, version, name.lower(), name)


def _merge(before: Case, theirs: Case, mine: Case, me: str = "Ben", them: str = "Ada") -> Case:
    history = [_by(before, "Old", 1), _by(theirs, them, 2)]
    return merged(before, theirs, mine, me, authors(history))


def _words(note: str) -> set[str]:
    """Its paragraphs without the names that the merge puts before them."""
    return {re.sub(r"^(?:\[(?:Ada|Ben|Old)\] )+", "", part) for part in paragraphs(note)}


@CAREFULLY
@given(CASE, CASE, CASE)
def test_nobodys_words_get_lost(before: Case, theirs: Case, mine: Case) -> None:
    both = _words(_merge(before, theirs, mine).remark.note)
    old, a, b = (_words(case.remark.note) for case in (before, theirs, mine))
    assert a - old <= both and b - old <= both
    # What is gone was there before, and somebody took it away; and nothing comes from nowhere.
    assert both == (a | b) - {word for word in old if word not in a or word not in b}


@CAREFULLY
@given(CASE, CASE, CASE)
def test_tags_are_a_set_that_both_change(before: Case, theirs: Case, mine: Case) -> None:
    tags = _merge(before, theirs, mine).remark.tags
    old, a, b = (set(case.remark.tags) for case in (before, theirs, mine))
    assert len(set(tags)) == len(tags)
    assert set(tags) == ((old & a & b) | (a - old) | (b - old))


@CAREFULLY
@given(CASE, CASE, CASE)
def test_the_order_of_the_two_does_not_matter_to_what_is_kept(
    before: Case, one: Case, other: Case
) -> None:
    forth = _merge(before, one, other, "Ben", "Ada").remark
    back = _merge(before, other, one, "Ada", "Ben").remark
    assert _words(forth.note) == _words(back.note)
    assert set(forth.tags) == set(back.tags)


@CAREFULLY
@given(CASE, CASE, CASE)
def test_the_same_change_a_second_time_changes_nothing(
    before: Case, theirs: Case, mine: Case
) -> None:
    once = _merge(before, theirs, mine)
    history = [_by(before, "Old", 1), _by(theirs, "Ada", 2), _by(once, "Ben", 3)]
    assert merged(before, once, mine, "Ben", authors(history)).same(once)


@CAREFULLY
@given(CASE, CASE)
def test_where_nobody_else_wrote_it_is_what_i_want(before: Case, mine: Case) -> None:
    assert merged(before, before, mine, "Ben", {}).same(mine)


@CAREFULLY
@given(CASE, CASE)
def test_where_i_changed_nothing_it_is_theirs(before: Case, theirs: Case) -> None:
    assert _merge(before, theirs, before).same(theirs)


@CAREFULLY
@given(CASE, CASE, CASE)
def test_the_label_is_mine_if_i_changed_it_and_theirs_if_not(
    before: Case, theirs: Case, mine: Case
) -> None:
    both = _merge(before, theirs, mine)
    changed = mine.remark.should_be != before.remark.should_be
    assert both.remark.should_be == (mine if changed else theirs).remark.should_be
    assert both.labels == (mine if mine.labels != before.labels else theirs).labels


def test_each_paragraph_names_who_wrote_it() -> None:
    before, theirs = Case(Remark(note="seen")), Case(Remark(note="seen\n\nfog"))
    mine = Case(Remark(note="seen\n\n[Ada] I agree"))
    assert _merge(before, theirs, mine).remark.note == "seen\n\n[Ada] fog\n\n[Ben] [Ada] I agree"


def test_a_name_cannot_look_like_another_ones_mark() -> None:
    before, theirs = Case(), Case(Remark(note="fog"))
    both = _merge(before, theirs, Case(Remark(note="no")), me="Eve] x\n\n[Ada")
    assert both.remark.note == "[Ada] fog\n\n[Eve  x   Ada] no"
