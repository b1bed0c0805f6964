"""The door to Markdown, by itself: what a browser shows of it is tested in `test_hostile_text`."""

from __future__ import annotations

import re

import pytest

from attnlib.dashboard.parts.markdown import JOINER, literal


def shown(markdown: str) -> str:
    """What CommonMark makes of escapes, without the joiner."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace(JOINER, "").replace("  \n", "\n")


@pytest.mark.parametrize(
    "text",
    ["cat", "n02123045_tabby", "a*b_c[d](e)<f>`g`#h+i-j!k|l~m$n:o&amp;p^q=r\\s", "12:30", "1. x",
     "https://a.b/c?d=e", "www.a.b", "a@b.c", ":material/home:", ":smile:", "a -> b", "Größe 猫 क्‍ष",
     "line\nnext", "1.5 x", "C:\\x\\y.png"],
)  # fmt: skip
def test_no_character_is_lost(text: str) -> None:
    assert shown(literal(text)) == text


@pytest.mark.parametrize(
    "text",
    ["see https://a.b", "HTTP://a.b", "www.a.b", "x@y.z", ":smile:", ":material_home:",
     ":streamlit:", ":+1:", "a -> b", "-- x", "x >= y", ":material/home:"],
)  # fmt: skip
def test_what_is_found_after_escapes_is_cut(text: str) -> None:
    assert JOINER in literal(text)


@pytest.mark.parametrize("text", ["12:30", "a-b", "cat.png", "3 x 4", "a:b", "http", "2 - 1"])
def test_nothing_else_is_cut(text: str) -> None:
    assert JOINER not in literal(text)


@pytest.mark.parametrize(
    "code", [0x202E, 0x2066, 0x200B, 0x00AD, 0xFEFF, 0x0, 0x7, 0x2028, 0xE0041]
)
def test_what_cannot_be_seen_is_shown_as_such(code: int) -> None:
    assert literal(f"a{chr(code)}b") == "a�b"


def test_lines_begin_no_block() -> None:
    assert literal("a\n\n    code\n1. x\n- y\n# z\n> w\n---\n===") == (
        "a  \ncode  \n1\\. x  \n\\- y  \n\\# z  \n\\> w  \n\\-\\-\\-  \n\\=\\=\\="
    )
