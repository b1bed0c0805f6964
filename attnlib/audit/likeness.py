"""How alike the images of a set are to one model: cosines of their embeddings, each set once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Likeness:
    """Cosine similarities of some images.

    Args:
        embeddings: ``(n, D)``; a zero vector is like nothing.
    """

    def __init__(self, embeddings: NDArray[np.floating]) -> None:
        vectors = embeddings.astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._units = vectors / np.where(lengths > 0, lengths, 1)
        self._to: dict[int, NDArray[np.float64]] = {}

    def to(self, place: int) -> NDArray[np.float64]:
        """The similarity of one image to each, ``(n,)``, -1 to 1."""
        if place not in self._to:
            if len(self._to) >= _KEPT:
                self._to.clear()
            self._to[place] = np.clip(self._units @ self._units[place], -1, 1)
        return self._to[place]

    def nearest(self, place: int, among: Sequence[int], count: int) -> list[tuple[int, float]]:
        """Those most like it among some places, itself left out, best first; equals by place."""
        places = np.asarray([i for i in among if i != place], dtype=np.intp)
        found = self.to(place)[places]
        best = np.argsort(-found, kind="stable")[:count]
        return [(int(places[i]), float(found[i])) for i in best]

    def quantile(self, place: int, share: float) -> float:
        """The similarity to others that a share of them does not exceed; 0 without others."""
        others = np.delete(self.to(place), place)
        return float(np.quantile(others, share)) if others.size else 0.0


# Images whose similarities are remembered: those on a page or two.
_KEPT = 256
