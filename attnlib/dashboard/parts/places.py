"""Places of a grid in an address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attnlib.dashboard.parts.codecs import alone

_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True)
class Places:
    """Some of so many places, counted from 0, each once and in order, written as runs: 3-5.17.

    Attributes:
        count: how many places there are.
    """

    count: int

    @property
    def allowed(self) -> str:
        """In words."""
        return f"places from 0 to {self.count - 1} in order, as 3-5.17"

    def read(self, texts: list[str]) -> tuple[int, ...]:
        """The places.

        Raises:
            ValueError: they are not as they must be.
        """
        text = alone(texts, self.allowed)
        found: list[int] = []
        for run in text.split(".") if text else []:
            ends = run.split("-")
            if len(ends) > 2 or not all(_NUMBER.fullmatch(end) for end in ends):
                raise ValueError(self.allowed)
            first, last = int(ends[0]), int(ends[-1])
            if not (found[-1] if found else -1) < first <= last < self.count:
                raise ValueError(self.allowed)
            found += range(first, last + 1)
        return tuple(found)

    def write(self, value: Sequence[int]) -> list[str]:
        """Their runs."""
        runs: list[list[int]] = []
        for place in value:
            if runs and runs[-1][-1] + 1 == place:
                runs[-1] = [runs[-1][0], place]
            else:
                runs.append([place])
        return [".".join("-".join(map(str, run)) for run in runs)]
