"""Whether numbers are probabilities of exclusive classes; never assumed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from attnlib.errors import LabelError

# Rounded to four digits, a thousand classes sum to within 0.05 of 1; half precision is nearer.
TOLERANCE: Final = 0.02
_PER_CLASS: Final = 5e-5


class NotShares(LabelError):
    """The numbers are no probabilities; they may be logits, which a softmax turns into some."""


def checked(values: NDArray[Any], softmax: bool) -> NDArray[np.float32]:
    """Probabilities ``(B, C)``, as they are or by softmax.

    Args:
        values: ``(B, C)`` numbers.
        softmax: whether somebody says that they are logits.

    Raises:
        NotShares: without ``softmax``: one is outside [0, 1], or a row does not sum to 1.
        LabelError: one is not finite.
    """
    rows = np.asarray(values, np.float64)
    missing = int((~np.isfinite(rows)).any(axis=1).sum())
    if missing:
        raise LabelError(
            f"The probabilities of {missing:,} of {len(rows):,} rows are not finite or missing: "
            "repair these rows, or leave the probabilities out."
        )
    if softmax:
        powers = np.exp(rows - rows.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
    if rows.min() < -1e-6 or rows.max() > 1 + 1e-3:
        raise NotShares(
            f"The numbers reach from {rows.min():.3g} to {rows.max():.3g}, so they are no "
            "probabilities. If they are logits (what the model gives before a softmax), say so, "
            "and a softmax is taken; else leave them out."
        )
    sums = rows.sum(axis=1)
    off = np.abs(sums - 1) > TOLERANCE + _PER_CLASS * rows.shape[1]
    if off.any():
        raise NotShares(
            f"{int(off.sum()):,} of {len(rows):,} rows sum to something else than 1 (from "
            f"{sums.min():.3g} to {sums.max():.3g}): they are not the probabilities of exclusive "
            "classes. A class may be missing; or they are of independent labels, or logits. "
            "Leave them out, or say that they are logits, and a softmax is taken."
        )
    return np.asarray(np.clip(rows, 0, 1), np.float32)
