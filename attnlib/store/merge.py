"""Two people who change one case at once: both keep their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attnlib.data.remarks import Remark
from attnlib.store.records import Case

# A paragraph that says who wrote it, as `signed` makes it.
_SIGNED: Final = re.compile(r"\[[^\]\n]{1,200}\] ")
# What would end the mark, or is neither a letter nor printable.
_NO_NAME: Final = re.compile(r"[\[\]]|[^ -~\w]")
_BETWEEN: Final = re.compile(r"\n[ \t]*\n+")


def merged(before: Case, theirs: Case, mine: Case, me: str, authors: Mapping[str, str]) -> Case:
    """What both say together. Merging the same change a second time changes nothing.

    Tags are a set: what either added is there, what either took away is not. Of two changed notes
    both are kept, paragraph by paragraph, each with its author's name. The label that mine
    changed is mine; one that it did not change is theirs.

    Args:
        before: what I saw when I began.
        theirs: what is stored now.
        mine: what I want it to be.
        me: my name.
        authors: paragraph of their note -> the name of who wrote it.

    Returns:
        What is to be stored; its version, author and time are those of ``mine``.
    """
    old, stored, new = before.remark, theirs.remark, mine.remark
    remark = Remark(
        tags=_tags(old.tags, stored.tags, new.tags),
        note=_note(old.note, stored.note, new.note, me, authors),
        should_be=stored.should_be if new.should_be == old.should_be else new.should_be,
    )
    labels = theirs.labels if mine.labels == before.labels else mine.labels
    return Case(remark, labels, mine.version, mine.by, mine.by_name, mine.at)


def authors(history: Iterable[Case]) -> dict[str, str]:
    """Paragraph -> the name of who first wrote it, from all versions in their order."""
    found: dict[str, str] = {}
    for case in history:
        for paragraph in paragraphs(case.remark.note):
            found.setdefault(paragraph, case.by_name)
    return found


def paragraphs(note: str) -> list[str]:
    """The parts between empty lines, each once."""
    parts = (part.strip() for part in _BETWEEN.split(note))
    return list(dict.fromkeys(part for part in parts if part))


def signed(name: str, paragraph: str) -> str:
    """A paragraph with its author's name before it."""
    mark = f"[{_NO_NAME.sub(' ', name)[:200].strip() or '?'}] "
    return paragraph if paragraph.startswith(mark) else mark + paragraph


def _tags(old: Sequence[str], stored: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    if tuple(stored) == tuple(old):
        return tuple(new)
    left = [tag for tag in stored if tag in new or tag not in old]
    return tuple(dict.fromkeys([*left, *(tag for tag in new if tag not in old)]))


def _note(old: str, stored: str, new: str, me: str, authors: Mapping[str, str]) -> str:
    if new in (old, stored):
        return stored
    if stored == old:
        return new
    before, now = paragraphs(old), paragraphs(new)

    def spellings(part: str) -> set[str]:
        """How a paragraph may stand in the stored note: as it was, or since signed."""
        return {part, signed(me, part), *([signed(authors[part], part)] if part in authors else [])}

    removed = {spelling for part in before if part not in now for spelling in spellings(part)}
    left = [part for part in paragraphs(stored) if part not in removed]
    added = [part for part in now if part not in before and not spellings(part) & set(left)]
    if not added:
        return "\n\n".join(left) if removed & set(paragraphs(stored)) else stored
    theirs = [part for part in left if part not in before]
    if not theirs:
        return "\n\n".join([*left, *added])
    left = [
        signed(authors.get(part, "?"), part) if part in theirs and not _SIGNED.match(part) else part
        for part in left
    ]
    return "\n\n".join([*left, *(signed(me, part) for part in added)])
