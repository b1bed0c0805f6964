"""Text and JSON that both databases can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attnlib.errors import NotFound, StoreError

LONGEST_NAME: Final = 200
LONGEST_NOTE: Final = 100_000
LONGEST_COMMENT: Final = 20_000
LONGEST_LABEL: Final = 2_000
MOST_TAGS: Final = 200
# PostgreSQL's index holds entries of up to 2,704 bytes.
LONGEST_KEY: Final = 2_000
MAX_JSON: Final = 4 * 2**20
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# PostgreSQL refuses NUL; halves of surrogate pairs have no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with U+FFFD for each character that a database cannot hold."""
    return _UNSTORABLE.sub("�", text)


def limited(text: str, what: str, longest: int) -> str:
    """Storable text. Raises StoreError if it has more than ``longest`` characters."""
    if len(text) > longest:
        raise StoreError(
            f"{what} has {len(text):,} characters, and the limit is {longest:,}: shorten it."
        )
    return storable(text)


def name(text: str) -> str:
    """The name of a workspace: in one line. Raises StoreError if it is empty or too long."""
    line = " ".join(text.split())
    if not line:
        raise StoreError("A workspace needs a name.")
    return limited(line, "The name of the workspace", LONGEST_NAME)


def key(text: str, what: str) -> str:
    """Text that an index holds. Raises StoreError if it is empty or too long."""
    stored = storable(text)
    if not stored:
        raise StoreError(f"{what} is empty.")
    if len(stored.encode()) > LONGEST_KEY:
        raise StoreError(f"{what} is longer than {LONGEST_KEY:,} bytes: rename it.")
    return stored


def is_id(text: str) -> bool:
    """Whether it is an id: a UUID's 32 hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def new_id(text: str) -> str:
    """An id that something new is to have. Raises StoreError if it is none."""
    if not is_id(text):
        raise StoreError("An id must be the 32 hexadecimal digits of a UUID.")
    return text


def known_id(text: str, what: str) -> str:
    """An id that is asked for; what is no id is not there. Raises NotFound."""
    if not is_id(text):
        raise NotFound(what)
    return text


def is_sha256(text: str) -> bool:
    """Whether it is a SHA-256 in hexadecimal."""
    return _SHA256.fullmatch(text) is not None


def digest(text: str) -> str:
    """A SHA-256 in hexadecimal. Raises StoreError if it is none."""
    if not is_sha256(text):
        raise StoreError("A SHA-256 must be 64 hexadecimal digits.")
    return text


def json_object(value: Mapping[str, Any], what: str) -> str:
    """The JSON text of an object. Raises StoreError if it has none, or too long a one."""
    try:
        text = json.dumps(dict(value), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{what} cannot be stored as JSON: {error}.") from error
    if len(text) > MAX_JSON:
        raise StoreError(
            f"{what} takes {len(text) / 2**20:.0f} MiB as JSON, and the limit is "
            f"{MAX_JSON // 2**20} MiB."
        )
    return text
