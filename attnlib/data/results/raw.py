"""A table of results as it came, and what every format can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from attnlib.data.results.files import Files
from attnlib.data.results.roles import Role

if TYPE_CHECKING:
    from attnlib.data.results.table import Results


@dataclass(frozen=True)
class Raw:
    """A row for each image, before anybody has said what the columns are.

    Attributes:
        frame: cells are numbers, texts, lists or vectors; None or NaN where one is empty.
        kind: what it was read as, as in "a CSV table".
        classes: class names by index, where the files hold them.
        hints: columns that the format itself says could play a role, with its reason.
        notes: what was not taken, as sentences.
    """

    frame: pd.DataFrame
    kind: str
    classes: tuple[str, ...] = ()
    hints: Mapping[Role, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """One format: a module with these two functions."""

    def fits(self, files: Files) -> bool:
        """Whether these files are of the format, by their names and first bytes."""

    def read(self, files: Files) -> Raw:
        """What they hold.

        Raises:
            LabelError: they are broken, too large, or hold code.
        """


class Writer(Protocol):
    """One format to hand out: a module with these."""

    TITLE: str
    FILE: str
    HOLDS: frozenset[Role]

    def write(self, results: Results) -> bytes:
        """The file's bytes."""
