"""What is wrong with an architecture or a number that was given, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from attnlib.errors import AttnlibError


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field, for a page to show beside its control."""

    field: str
    message: str


class ArchitectureError(AttnlibError):
    """An architecture, or what is asked of it, is impossible or not covered.

    Attributes:
        problems: each wrong field with its message; a model that is refused names ``"name"``.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = tuple(problems)

    @property
    def field(self) -> str:
        """The first field that is wrong."""
        return self.problems[0].field


def is_count(value: object) -> TypeGuard[int]:
    """A whole number, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """A finite number, and not True or False."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, float) or math.isfinite(value)
