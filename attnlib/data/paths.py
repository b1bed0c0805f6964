"""Paths of uploaded files: made safe and alike, and what their endings promise."""

import re
import unicodedata

# Files of the last three are refused by their bytes where nothing here decodes them.
IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif",
    ".avif", ".heic", ".heif",
)  # fmt: skip
TABLE_ENDINGS = (".csv", ".tsv")
ANNOTATION_ENDINGS = (".json",)
# Of a path, and of its folders: every end of a path is compared with a table's rows.
MAX_LENGTH = 512
MAX_DEPTH = 32
_JUNK = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini"}


def clean(name: str) -> str | None:
    """The relative path with ``/``, or None for one that leads elsewhere.

    Unicode is composed (NFC): macOS decomposes names, and a label table would not match them.
    """
    path = unicodedata.normalize("NFC", name).replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.startswith("/") or re.match("[A-Za-z]:", path):
        return None
    return "/".join(parts)


def is_long(path: str) -> bool:
    """Whether no file of a data set is called so: it is cheap to write and dear to compare."""
    return len(path) > MAX_LENGTH or path.count("/") >= MAX_DEPTH


def is_junk(path: str) -> bool:
    """Whether it is hidden, or a system's own file."""
    return any(part.startswith(".") or part.lower() in _JUNK for part in path.split("/"))


def is_text(path: str) -> bool:
    """Whether it is a table or annotations, by its ending."""
    return path.lower().endswith(TABLE_ENDINGS + ANNOTATION_ENDINGS)
