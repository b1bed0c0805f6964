"""What every filter of the gallery does. A filter is one file, and one line in the registry."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attnlib.dashboard.state.workspace import Workspace

Mask = NDArray[np.bool_]


class Filter(Protocol):
    """One question that an image of the gallery has to meet.

    What is asked lies under `key` in the session and in the address; :meth:`value` reads it on
    every page, so that “next” on any page keeps to the gallery.
    """

    @property
    def key(self) -> str:
        """Of the session and the address."""
        ...

    def value(self, space: Workspace) -> Any:
        """What is asked for now."""
        ...

    def draw(self, space: Workspace) -> None:
        """The control. Filters that are set elsewhere on the page have none."""
        ...

    def keeps(self, space: Workspace, value: Any) -> Mask | None:
        """Which rows of ``space.table`` meet it, ``(n,)``; None where all do."""
        ...

    def words(self, space: Workspace, value: Any) -> str:
        """What is asked for, in a few words for a chip; "" where nothing is."""
        ...

    def clear(self) -> None:
        """Ask for nothing, from the next run on."""
        ...
