"""What people said of the images of an audit: a small file for each image, beside the parts."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from attnlib.audit.runs.manifest import Folder
from attnlib.data.remarks import Remark, tidy

SAID = "said"
# Seconds for which the folder is not listed again: a page asks several times as it is drawn.
HELD_S = 1.5


class Said:
    """The remarks of one audit; what others say meanwhile is seen after :data:`HELD_S`.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, folder: Folder, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._looked = -math.inf
        self._read: dict[str, tuple[str, str, Remark]] = {}
        self._lock = threading.Lock()

    def all(self, *, now: bool = False) -> dict[str, Remark]:
        """By name of the image; files that are damaged are left out.

        Args:
            now: have the folder listed, whenever it was before.

        Raises:
            AttnlibError: the folder cannot be read.
        """
        with self._lock:
            if now or self._clock() - self._looked >= HELD_S:
                self._look()
            return {name: remark for _, name, remark in self._read.values() if remark}

    def _look(self) -> None:
        began = self._clock()
        there = self._folder.files(SAID)
        kept = {k: one for k, one in self._read.items() if one[0] == there.get(k)}
        for file, stamp in there.items():
            if file.endswith(".json") and file not in kept:
                found = _parsed(self._folder.get(f"{SAID}/{file}"))
                if found is not None:
                    kept[file] = (stamp, *found)
        self._read = kept
        self._looked = began

    def change(self, name: str, before: Remark, after: Remark) -> Remark:
        """Say something else of an image, which may have been said more of meanwhile.

        Args:
            before: what whoever changes it saw.

        Returns:
            What is said now: tags that others gave stay, and so does their note, above the new one.

        Raises:
            AttnlibError: it cannot be written.
        """
        file = f"{SAID}/{hashlib.sha256(name.encode()).hexdigest()[:40]}.json"
        found = _parsed(self._folder.get(file))
        now = merged(before, after, Remark() if found is None else found[1])
        said = json.dumps({"name": name, **asdict(now)}, ensure_ascii=False)
        self._folder.put(file, said.encode())
        with self._lock:
            self._looked = -math.inf
        return now


def merged(before: Remark, after: Remark, theirs: Remark) -> Remark:
    """What two people made of one remark, without loss.

    Args:
        before: what both began with.
        after: what one made of it.
        theirs: what the other did.
    """
    taken = set(before.tags) - set(after.tags)
    tags = [tag for tag in (*theirs.tags, *after.tags) if tag not in taken]
    if after.note == before.note or after.note == theirs.note:
        note = theirs.note
    elif theirs.note == before.note or not theirs.note:
        note = after.note
    else:
        note = f"{theirs.note}\n{after.note}".strip()
    should_be = theirs.should_be if after.should_be == before.should_be else after.should_be
    return Remark(tidy(tags), note, should_be)


def _parsed(data: bytes | None) -> tuple[str, Remark] | None:
    if data is None:
        return None
    try:
        said = json.loads(data)
        parts = said["name"], *said["tags"], said["note"], said["should_be"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not all(isinstance(part, str) for part in parts):
        return None
    return said["name"], Remark(tidy(list(said["tags"])), said["note"], said["should_be"])
