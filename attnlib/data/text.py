"""Text files as people save them, decoded; names compared, and numbers of things in words."""

import codecs
import re
import unicodedata
from typing import Final

from attnlib.errors import LabelError

# A row takes about 30 bytes: room for half a million of them.
MAX_BYTES: Final = 16 * 2**20
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


def decoded(data: bytes, what: str) -> str:
    """Decoded text. Raises LabelError if it is empty, too large or binary."""
    if len(data) > MAX_BYTES:
        raise LabelError(f"The {what} is too large: the limit is {MAX_BYTES // 2**20} MiB.")
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Windows-1252 leaves five bytes undefined; Latin-1 defines all.
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if not text.strip():
        raise LabelError(f"The {what} is empty.")
    if _CONTROL.search(text):
        raise LabelError(
            f"The {what} is binary, not text (it contains NUL or control characters): "
            "save it as UTF-8 text."
        )
    return text


def loose(name: str) -> str:
    """The name in lower case without spaces, underscores and hyphens, to compare by."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFC", name).casefold())


def within(title: str) -> str:
    """A title within a sentence: "occlusion", but "RISE" and "Grad-CAM" as they are."""
    return title if any(map(str.isupper, title[1:])) else title.lower()


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun: "1 class", "2 classes"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
