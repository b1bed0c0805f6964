"""The models that one visitor has loaded: a list to choose from, with the bytes of uploads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from attnlib import settings
from attnlib.dashboard.state.models import ModelChoice

# What one session holds of uploads, which lie in its memory.
MAX_BYTES: Final = 2**30


@dataclass(frozen=True)
class Kept:
    """One model of the list.

    Attributes:
        choice: as it was used last, with its preprocessing and names.
        upload: bytes of an uploaded checkpoint.
    """

    choice: ModelChoice
    upload: bytes | None = field(default=None, repr=False)


def identity(choice: ModelChoice) -> ModelChoice:
    """What makes it another model of the list: weights, architecture, size and names given."""
    return replace(choice.plain, device="auto", precision="float32", outputs=None)


class Shelf:
    """Models in the order in which they were first loaded.

    Attributes:
        dropped: the title of the uploaded model that had to go last, until another is loaded; "".
    """

    def __init__(self, most: int | None = None, most_bytes: int = MAX_BYTES) -> None:
        self.dropped = ""
        # As many as one person may have, unless said otherwise.
        self._most = settings.current().max_models if most is None else most
        self._most_bytes = most_bytes
        self._kept: dict[ModelChoice, Kept] = {}
        # The same, those used last at the end.
        self._used: dict[ModelChoice, None] = {}

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, choice: ModelChoice) -> Kept | None:
        """The entry of a model, whatever it was used with."""
        return self._kept.get(identity(choice))

    def keep(self, choice: ModelChoice, upload: bytes | None) -> None:
        """Note that a model is used; the one not used for longest goes where there is no room."""
        key = identity(choice)
        if key not in self._kept:
            self.dropped = ""
        self._kept[key] = Kept(choice, upload)
        self._used.pop(key, None)
        self._used[key] = None
        while len(self._kept) > 1 and self._full():
            # What can be fetched again by its name goes only to make the list shorter.
            held = [k for k in self._used if k != key and self._kept[k].upload is not None]
            over = self._bytes() > self._most_bytes
            if over and not held:
                return
            oldest = held[0] if over else next(iter(self._used))
            del self._used[oldest]
            gone = self._kept.pop(oldest)
            if gone.upload is not None:
                self.dropped = gone.choice.title

    def forget(self, choice: ModelChoice) -> None:
        """Take a model off the list, if it is on it."""
        self._kept.pop(identity(choice), None)
        self._used.pop(identity(choice), None)

    def title(self, kept: Kept) -> str:
        """What a model is called in the list, so that no two are called the same."""
        plain = _title(kept.choice)
        others = [one for one in self if identity(one.choice) != identity(kept.choice)]
        if all(_title(one.choice) != plain for one in others) or not kept.choice.digest:
            return plain
        return f"{plain} · {kept.choice.digest[-6:]}"

    def _full(self) -> bool:
        return len(self._kept) > self._most or self._bytes() > self._most_bytes

    def _bytes(self) -> int:
        return sum(len(data) for data in {id(k.upload): k.upload or b"" for k in self}.values())


def _title(choice: ModelChoice) -> str:
    if choice.img_size is None:
        return choice.title
    return f"{choice.title} · {choice.img_size[0]} × {choice.img_size[1]}"
