"""A workspace with everything in it, its export, and its parts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from attnlib.store import Setup, Store

from .making import ADA, BEN, new, png, said, sha256, stored

Members = dict[str, bytes]
Change = Callable[[pa.Table], pa.Table]
MASK = b"mask"


def full(store: Store) -> tuple[str, bytes]:
    """A workspace with everything in it, and its export."""
    id, buffer = new(), io.BytesIO()
    store.create(ADA, id, "Street signs", "team")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as package:
        for name, data in (("cat/a.png", png(1)), ("dog/a.png", png(2)), ("bad.png", b"bad")):
            package.writestr(name, data)
    store.add_files(ADA, id, [stored("set.zip", zipped.getvalue()), stored("a.png", png(1))])
    store.add_files(ADA, id, [stored("labels.csv", b"filename,label\na.png,cat\n")])
    setup = Setup({"name": "vit", "mean": [0.5]}, {"rule": None}, {"mask": sha256(MASK)})
    store.set_up(ADA, id, setup, {sha256(MASK): MASK})
    case = store.say(ADA, id, "a.png", said(), said("fog\n\n=1+1", "ä", should_be="dog")).case
    store.say(BEN, id, "a.png", case, replace(case, labels=("cat", "dog")))
    store.comment(BEN, id, new(), "a.png", "🐱?")
    store.export(ADA, id, buffer)
    return id, buffer.getvalue()


def members_of(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        return {name: package.read(name) for name in package.namelist()}


def zipped_up(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as package:
        for name, data in members.items():
            package.writestr(name, data)
    return buffer.getvalue()
