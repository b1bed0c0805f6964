"""When in a training a checkpoint was written: said by the file, else by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from attnlib.errors import ModelError
from attnlib.model.checkpoint.files import open_file
from attnlib.model.checkpoint.meanings import scalar, table

Unit = Literal["epoch", "step"]

# As training loops and libraries call it; an epoch is preferred.
_ENTRIES: Final[dict[Unit, tuple[str, ...]]] = {
    "epoch": ("epoch", "epochs", "last_epoch", "current_epoch", "epoch_num"),
    "step": ("global_step", "step", "iteration", "iter", "num_updates"),
}
# Within which those may stand: OpenMMLab's meta, states of trainers.
_INSIDE = ("meta", "state", "trainer", "extra_state", "metadata")
_WORDS: Final[dict[Unit, str]] = {
    "epoch": "epochs?|ep|e",
    "step": "global_step|steps?|iter(?:ation)?s?|checkpoint|ckpt",
}
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class Moment:
    """A place in a training.

    Attributes:
        number: of the epoch or the step, as it is written; training loops count from 0 or 1.
        unit: of what.
        source: what says so, in words.
    """

    number: float
    unit: Unit
    source: str


def moment(name: str, source: str | Path | bytes) -> Moment | None:
    """When a checkpoint was written; None where neither the file nor its name says it.

    Args:
        name: of the file.
        source: the file, or the bytes of an upload. Only the entry is read, and no code is run.
    """
    return inside(source) or by_name(name)


def inside(source: str | Path | bytes) -> Moment | None:
    """What the file says."""
    try:
        content = open_file(source)
    except ModelError:
        # Why it cannot be read is said where its weights are asked for.
        return None
    for about in (content.metadata, content.root):
        entries = _entries(about)
        places = [("", entries)]
        places += [(f"{key}.", _entries(entries[key])) for key in _INSIDE if key in entries]
        for unit, keys in _ENTRIES.items():
            for path, values in places:
                for key in keys:
                    number = _number(values.get(key))
                    if number is not None:
                        return Moment(number, unit, f"the file's “{path}{key}”")
    return None


def by_name(name: str) -> Moment | None:
    """What the name says: "epoch=12.ckpt", "checkpoint-500"; else the only number in it."""
    stem = Path(name).stem
    for unit, words in _WORDS.items():
        pattern = rf"(?:^|[^a-z])(?:{words})[ _=.-]?(\d{{1,9}})(?!\d)"
        if found := re.search(pattern, stem, re.IGNORECASE):
            return Moment(int(found[1]), unit, "the file's name")
    # Of several, as in vit_base_patch16_224, nobody knows which counts.
    numbers = _NUMBERS.findall(stem)
    if len(numbers) != 1 or len(numbers[0]) > 9:
        return None
    return Moment(int(numbers[0]), "epoch", "the only number in its name")


def _entries(value: Any) -> dict[str, Any]:
    entries = table(value) or {}
    return {str(key): item for key, item in entries.items()}


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 20 else None
        except ValueError:
            return None
        return value if value is None or 0 <= value < 1e12 else None
    try:
        known, plain = scalar(value)
    except (ValueError, TypeError, IndexError, AttributeError):
        return None
    if not known or isinstance(plain, bool | str) or not isinstance(plain, int | float):
        return None
    # Nothing else is an epoch; NaN fails this too.
    return float(plain) if 0 <= plain < 1e12 else None
