"""Several labels in one text, as people write them into one cell of a table."""

from __future__ import annotations

from collections.abc import Callable

# A comma after the others: it is the one that names of classes contain.
SEPARATORS = ("|", ";", ",")


def parts(text: str, known: Callable[[str], bool]) -> tuple[str, ...]:
    """The single labels of a text.

    It is one label if it is the name of a class as it stands. Else it is taken apart at ``|``, or
    where there is none at ``;``, or at ``,``; else at its spaces, if that gives names of classes
    alone. A list as Python prints it (``['cat', 'dog']``) is read as one.

    Args:
        known: whether a text is the name of a class.
    """
    text = text.strip()
    if known(text):
        return (text,)
    if text.startswith("[") and text.endswith("]"):
        inner = (part.strip().strip("'\"").strip() for part in text[1:-1].split(","))
        return tuple(dict.fromkeys(part for part in inner if part))
    for separator in SEPARATORS:
        if separator in text:
            single = (part.strip() for part in text.split(separator))
            return tuple(dict.fromkeys(part for part in single if part))
    words = text.split()
    return tuple(dict.fromkeys(words)) if len(words) > 1 and all(map(known, words)) else (text,)
