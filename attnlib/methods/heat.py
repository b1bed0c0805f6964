"""One attribution map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Heat:
    """One attribution map.

    Attributes:
        values: ``(rows, cols)`` float32, one number per patch, read-only.
        unit: what a value means.
        query: whose view it is ("CLS token", "patch (3, 4)", …).
        method: registry name of the method.
        target: class index that it explains, or None for a class-agnostic method.
        signed: whether negative values mean evidence against.
        share: whether values are shares of one whole, so that 1/N per patch is "uniform".
        options: the options used, defaults included.
    """

    values: NDArray[np.float32]
    unit: str
    query: str
    method: str
    target: int | None = None
    signed: bool = False
    share: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values.setflags(write=False)
