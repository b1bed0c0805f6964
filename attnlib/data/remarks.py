"""What a person says of an image: tags, a note, and the class that it should have."""

from __future__ import annotations

from dataclasses import dataclass

# What mistakes are usually put down to; any other tag can be typed.
SUGGESTED = (
    "label error",
    "background shortcut",
    "object cut off",
    "ambiguous",
    "model blind",
)
LONGEST_TAG = 40


@dataclass(frozen=True)
class Remark:
    """Said of one image.

    Attributes:
        tags: in the order in which they were given, each once.
        note: free text.
        should_be: name of the class that the label should be, where a person found the label
            wrong; "" where nobody did.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    should_be: str = ""

    def __bool__(self) -> bool:
        return bool(self.tags or self.note or self.should_be)


def tidy(tags: list[str]) -> tuple[str, ...]:
    """Typed tags: without space around them, printable, not too long, each once."""
    found = []
    for tag in tags:
        text = "".join(c for c in " ".join(tag.split()) if c.isprintable())[:LONGEST_TAG].strip()
        if text and text not in found:
            found.append(text)
    return tuple(found)


def known(remarks: dict[str, Remark]) -> list[str]:
    """The suggested tags, then all others in use, by name."""
    used = {tag for remark in remarks.values() for tag in remark.tags}
    return [*SUGGESTED, *sorted(used - set(SUGGESTED))]
