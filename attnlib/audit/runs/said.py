"""What people said of the images of an audit: a small file for each image, beside the parts."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import asdict

from attnlib.audit.runs.manifest import Folder
from attnlib.data.remarks import Remark, tidy

SAID = "said"


class Said:
    """The remarks of one audit; what others say meanwhile is seen at the next look."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._read: dict[str, tuple[str, str, Remark]] = {}
        self._lock = threading.Lock()

    def all(self) -> dict[str, Remark]:
        """By name of the image; files that are damaged are left out.

        Raises:
            AttnlibError: the folder cannot be read.
        """
        with self._lock:
            there = self._folder.files(SAID)
            kept = {k: one for k, one in self._read.items() if one[0] == there.get(k)}
            for file, stamp in there.items():
                if file.endswith(".json") and file not in kept:
                    found = _parsed(self._folder.get(f"{SAID}/{file}"))
                    if found is not None:
                        kept[file] = (stamp, *found)
            self._read = kept
            return {name: remark for _, name, remark in kept.values() if remark}

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
