"""Text from outside (file names, class names, messages) inside Markdown: the one door to it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Breaks what a browser's Markdown finds in text after all escapes are undone. It takes no room and
# is no space, so that lines break as they would.
JOINER: Final = "\u2060"
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+\-=!|~$:&^]")
# “1.” at the beginning of a line is a list.
_COUNTED = re.compile(r"^(\s*[0-9]+)\.(?=\s|$)", re.MULTILINE)
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")
# What Streamlit turns into links, symbols, icons and arrows, each cut where no character is lost.
_FOUND: Final = (
    (re.compile(r"(?i)(?<=http)(?=s?://)|(?<=www)(?=\.)"), JOINER),
    (re.compile(r"(?<=@)(?=[\w-])"), JOINER),
    (re.compile(r"(?<=:)(?=[\w+-]+[:/])"), JOINER),
    (re.compile(r"(?:(?<=\s)|^)(?=(?:<->|->|<-|--|>=|<=|~=)(?:\s|$))", re.MULTILINE), JOINER),
)
# They join letters and emoji of many languages.
_KEPT = "\u200c\u200d"


def literal(text: str) -> str:
    """Text as Markdown that shows it literally: no markup, link, icon, formula or hidden direction.

    Characters that cannot be seen, or that turn the direction of what follows, are shown as “�”;
    lines stay lines.
    """
    text = "".join("�" if _hidden(c) else c for c in text)
    # Before the escapes, as those are undone before Streamlit looks for these.
    text = _LINES.sub("\n", _SPACES.sub(" ", text)).strip("\n ")
    for pattern, cut in _FOUND:
        text = pattern.sub(cut, text)
    text = _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
    return _COUNTED.sub(r"\1\\.", text).replace("\n", "  \n")


def _hidden(character: str) -> bool:
    if character in _KEPT or character in "\t\n\r":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
