"""A large set in the plane: how many images lie in each cell of a grid, and how many are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnlib.audit.numbers import wilson
from attnlib.audit.projection import pca

# Cells along the longer side: few where there are few images.
FEWEST, MOST = 8, 40


@dataclass(frozen=True, eq=False)
class Density:
    """Images in a grid over the first two principal components of their embeddings.

    Attributes:
        cells: of the cells that hold images ``column``, ``row`` (from the lower left, 0 on),
            ``images``, ``judged`` (those with a label), ``wrong``, ``rate`` (of the judged, NaN
            without any) and ``least``, the lower end of its 95 % interval (Wilson): one image
            that is wrong is no region that fails.
        along: cells along the longer side.
        place: ``(n,)`` the row of ``cells`` that each image lies in.
        names: ``(n,)`` of the images.
        wrong: ``(n,)`` bool, false without a label.
        shares: of the variance along either axis, 0 to 1.
    """

    cells: pd.DataFrame
    along: int
    place: NDArray[np.intp]
    names: tuple[str, ...]
    wrong: NDArray[np.bool_]
    shares: tuple[float, float]

    def inside(self, cell: int) -> list[str]:
        """Names of the images of a cell, the wrong ones first."""
        places = np.flatnonzero(self.place == cell)
        return [self.names[i] for i in places[np.argsort(~self.wrong[places], kind="stable")]]


def density(
    names: list[str],
    embeddings: NDArray[np.floating],
    judged: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
) -> Density:
    """Count images ``(n, D)`` in square cells, as many along the longer side as suit their number.

    Raises:
        AttnlibError: the embeddings are not finite.
    """
    made = pca(embeddings)
    low, extent = made.points.min(axis=0), np.ptp(made.points, axis=0)
    along = int(np.clip(round(len(names) ** 0.5 / 1.5), FEWEST, MOST))
    size = float(extent.max()) / along or 1.0
    grid = np.minimum((made.points - low) / size, along - 1).astype(int)
    both, place = np.unique(grid, axis=0, return_inverse=True)
    place = place.reshape(-1)
    counts = [
        np.bincount(place[mask], minlength=len(both))
        for mask in (np.ones(len(names), bool), judged, wrong & judged)
    ]
    cells = pd.DataFrame(
        {"column": both[:, 0], "row": both[:, 1]}
        | dict(zip(("images", "judged", "wrong"), counts, strict=True))
    )
    cells["rate"] = cells["wrong"] / cells["judged"].where(cells["judged"] > 0)
    ends = [
        wilson(int(w), int(j))[0] if j else np.nan
        for w, j in zip(counts[2], counts[1], strict=True)
    ]
    cells["least"] = ends
    assert made.shares is not None
    return Density(cells, along, place, tuple(names), wrong & judged, made.shares)
