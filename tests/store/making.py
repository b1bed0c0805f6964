"""Small things to store."""

from __future__ import annotations

import hashlib
import io
import uuid

import numpy as np
from PIL import Image

from attnlib.data.collection import collect
from attnlib.data.remarks import Remark
from attnlib.store import Case, Person, StoredFile

ADA = Person("https://id.example|ada", "Ada", "ada@example.org")
BEN = Person("https://id.example|ben", "Ben", "ben@example.org")
EVE = Person("https://id.example|eve", "Eve", "eve@example.org")
ROOT = Person("https://id.example|root", "Root", "root@example.org", role="admin")
LOOKER = Person("https://id.example|looker", "Lou", "lou@example.org", role="viewer")


def new() -> str:
    """An id."""
    return uuid.uuid4().hex


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def png(seed: int) -> bytes:
    """A small picture; of each seed another one."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def stored(name: str, data: bytes) -> StoredFile:
    """One upload as the page opens it."""
    (opened,) = collect([(name, data)]).opened
    return StoredFile(new(), name, opened)


def said(note: str = "", *tags: str, should_be: str = "") -> Case:
    return Case(Remark(tags, note, should_be))
