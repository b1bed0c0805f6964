"""Values in an address: what is written is read again, and nothing else ever gets through."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnlib.dashboard.heads.similarity import Pair
from attnlib.dashboard.parts.checkpoint_form import parse_options, parse_size
from attnlib.dashboard.parts.codecs import (
    LARGEST,
    Codec,
    Number,
    OneOf,
    SomeOf,
    Text,
    YesNo,
)
from attnlib.dashboard.parts.look import number_of
from attnlib.dashboard.parts.places import Places
from attnlib.errors import AttnlibError

LAYERS = OneOf([5, 4, 3, 2, 1, 0])
CODECS: dict[str, Codec[Any]] = {
    "layers": LAYERS,
    "words": OneOf(["mean", "max", "0", "1"]),
    "some layers": SomeOf(LAYERS),
    "whole": Number(0, 95),
    "share": Number(0.0, 0.95),
    "blank": Number(0, 224, blank=True),
    "free": Number(),
    "switch": YesNo(),
    "text": Text(),
    "pair": Pair(24),
    "places": Places(24),
}
NASTY = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "9" * 400,
    "²",
    "٣",
    "1_0",
    "0x1",
    "+1",
    " 1",
    "1\n",
]
NASTY += [
    "1\n",
    "x" * 100_000,
    "猫",
    "\x00",
    "\u202e",
    "None",
    "none",
    "-0",
    "1.5",
    "1-2-3",
    "-",
    "–1",
]


@pytest.mark.parametrize("name", CODECS)
def test_nothing_but_a_value_that_can_be_written_gets_through(name: str) -> None:
    codec = CODECS[name]
    for text in NASTY:
        for texts in ([text], [text, text], []):
            try:
                found = codec.read(texts)
            except ValueError as allowed:
                assert 0 < len(str(allowed)) < 200
                continue
            assert codec.read(codec.write(found)) == found
            if isinstance(codec, Number) and found is not None:
                assert math.isfinite(found) and codec.low <= found <= codec.high
                assert text.isascii()


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for codec in CODECS.values():
        with contextlib.suppress(ValueError):
            codec.read([text])


@given(st.integers(-LARGEST, LARGEST))
def test_whole_numbers_come_back(value: int) -> None:
    assert Number().read(Number().write(value)) == value


@given(st.floats(-1000, 1000).filter(lambda value: value == 0 or abs(value) > 1e-300))
def test_numbers_come_back_exactly(value: float) -> None:
    codec = Number(-1000.0, 1000.0)
    assert codec.read(codec.write(value)) == value


@given(st.lists(st.sampled_from(LAYERS.options), unique=True))
def test_choices_come_back_in_their_order(chosen: list[int]) -> None:
    assert SomeOf(LAYERS).read(SomeOf(LAYERS).write(chosen)) == chosen


@given(st.sets(st.integers(0, 195)))
def test_places_come_back_and_fit_a_link(chosen: set[int]) -> None:
    (text,) = Places(196).write(tuple(sorted(chosen)))
    assert Places(196).read([text]) == tuple(sorted(chosen))
    assert len(text) <= 500


@pytest.mark.parametrize("text", ["5.3", "3.3", "3-3.2", "4-2", "196", "0-196", "1.", ".1", "1--2"])
def test_places_out_of_order_or_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="places from 0 to 195 in order"):
        Places(196).read([text])


def test_bounds_are_inclusive_and_said() -> None:
    assert Number(0, 95).read(["95"]) == 95
    with pytest.raises(ValueError, match="a whole number from 0 to 95"):
        Number(0, 95).read(["96"])
    with pytest.raises(ValueError, match=r"a number from 0 to 0\.95"):
        Number(0.0, 0.95).read(["0.951"])


def test_a_title_opens_an_option_unless_two_share_it() -> None:
    birds = OneOf([134, 517, 3], lambda i: "crane" if i > 3 else "hen")
    assert birds.read(["hen"]) == 3
    assert birds.read(["517"]) == 517
    with pytest.raises(ValueError, match="one of 134, 517, 3"):
        birds.read(["crane"])


def test_an_option_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="once"):
        SomeOf(LAYERS).read(["1", "1"])


@pytest.mark.parametrize("head", ["²", "٣", "-1", "1.0", "", "9" * 400, "median"])
def test_a_head_is_a_number_or_a_fusion(head: str) -> None:
    with pytest.raises(AttnlibError, match="A head is a number"):
        number_of(head)
    assert number_of("11") == 11
    assert number_of("max") is None


@pytest.mark.parametrize("size", ["²", "224²", "x", "1x2x3", "9" * 400, "-1", "٣"])
def test_an_input_size_that_is_none_is_refused_in_words(size: str) -> None:
    with pytest.raises(AttnlibError, match="384 or 224x448"):
        parse_size(size)


def test_input_sizes() -> None:
    assert parse_size(" ") is None
    assert parse_size("384") == (384, 384)
    assert parse_size(" 224 × 448 ") == parse_size("224X448") == (224, 448)


def test_options_of_an_architecture_are_read_as_plain_values() -> None:
    text = "global_pool=avg, num_heads = 6,class_token=False,\nqk_norm=true, drop=0.1"
    assert parse_options(text) == (
        ("global_pool", "avg"),
        ("num_heads", 6),
        ("class_token", False),
        ("qk_norm", True),
        ("drop", 0.1),
    )
    assert parse_options(" ") == ()
    assert parse_options("f=__import__('os')") == (("f", "__import__('os')"),)
    for wrong in ("avg", "=3", "a b=3", "x" * 501, "²=3"):
        with pytest.raises(AttnlibError):
            parse_options(wrong)
