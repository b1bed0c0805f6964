"""The images of the set as points: their embeddings in the plane, for the map and the lasso."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnlib.audit import projection
from attnlib.audit.projection import Method, Projection
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace

TASK = "embedding"
# Images whose thumbnails are sent together: those of neighbours are looked at together.
PER_SHEET = 64


@dataclass(frozen=True)
class Cloud:
    """The set in the plane.

    Attributes:
        names: of the images, strip by strip, so that those with near numbers are near.
        points: ``(n, 2)`` in a box from 0 to ``extent``, in the order of the names.
        extent: its width and height, of which the longer is 1; 0 where nothing varies.
        shares: of PCA, the share of the variance along either axis; else None.
    """

    names: tuple[str, ...]
    points: NDArray[np.float64]
    extent: tuple[float, float]
    shares: tuple[float, float] | None

    @classmethod
    def of(cls, names: list[str], made: Projection) -> Cloud:
        """The points of these images; they are moved and scaled, both axes alike."""
        points, extent = made.points, np.zeros(2)
        if len(points):
            points = points - points.min(axis=0)
            extent = points.max(axis=0)
            size = float(extent.max()) or 1.0
            points, extent = points / size, extent / size
        order = strips(points)
        listed = tuple(names[i] for i in order)
        return cls(listed, points[order], (float(extent[0]), float(extent[1])), made.shares)


def finished(space: Workspace) -> bool:
    """Whether no image is going to be added."""
    job = space.session.job
    return job is not None and job.finished


def shown(space: Workspace) -> list[str]:
    """The inspected images, in the order of the samples.

    While more are to come their number grows in steps, since each moves all points.
    """
    names = [prediction.name for prediction in space.predictions]
    if finished(space):
        return names
    return names[: steps(len(names))]


def steps(count: int) -> int:
    """The largest of 8, 12, 18, 27 ... that is not above a count; below 8 nothing is shown."""
    step = 8
    while step * 3 // 2 <= count:
        step = step * 3 // 2
    return step if step <= count else 0


def cloud(space: Workspace, method: Method) -> Cloud | None:
    """The set's points; None for a method whose long computation nobody has asked for.

    Raises:
        AttnlibError: the embeddings cannot be projected.
    """
    names = shown(space)
    if method == "pca":
        made = results.store().numbers.of(("pca", key(space, names)), compute(space, names, "pca"))
    else:
        made = results.kept((TASK, (method, key(space, names))))
    return None if made is None else Cloud.of(names, made)


def compute(space: Workspace, names: list[str], method: Method) -> Callable[[], Projection]:
    """The computation, which needs no page."""
    found = [space.outcomes[name].embedding for name in names]
    embeddings = np.stack(found) if found else np.zeros((0, 1), np.float32)
    return lambda: projection.project(embeddings, method)


def key(space: Workspace, names: list[str]) -> Hashable:
    """Names all content that the points come from."""
    together = "".join(space.by_name[name].sha256 for name in names)
    return space.choice, hashlib.sha256(together.encode()).hexdigest()


def strips(points: NDArray[np.float64]) -> NDArray[np.intp]:
    """An order of points ``(n, 2)`` in which neighbours follow each other: ``(n,)``.

    Upright strips of equal number from left to right, each from bottom to top.
    """
    n = len(points)
    sheets = max(1, -(-n // PER_SHEET))
    per_strip = PER_SHEET * max(1, round(sheets**0.5))
    order = np.argsort(points[:, 0], kind="stable")
    parts = [order[i : i + per_strip] for i in range(0, n, per_strip)]
    listed = [part[np.argsort(points[part, 1], kind="stable")] for part in parts]
    return np.concatenate(listed) if listed else np.zeros(0, np.intp)
