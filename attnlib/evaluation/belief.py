"""Which map of an image to believe: the one that finds the evidence better than its own shape.

A map's gap is the area under its insertion curve minus that under its deletion curve. By itself
it says little: whatever takes connected patches away changes the picture more than scattered ones.
On 40 images of the demo model, smooth maps of pure noise beat random *orders* of patches on 13, and
so did the maps of another image. The control therefore has the shapes of the maps themselves: the
same maps moved over the edge to random places and mirrored, which know nothing of where the
evidence lies. Against it the noise was believed on none of the 40 images and the maps of another
image on 2, with a level of 5 % for an image.

Several maps are tried at once, so each is tested at a level corrected for all of them (Holm, 1979).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.evaluation import faithfulness
from attnlib.evaluation.faithfulness import Perturbed
from attnlib.methods.base import Progress
from attnlib.methods.perturbation import BATCH_SIZE, Replacement

if TYPE_CHECKING:
    from attnlib.methods import Heat
    from attnlib.model.vit import Vit

STEPS, MOVED, LEVEL = 8, 24, 0.05
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tried:
    """One map beside the control.

    Attributes:
        method: name of the method.
        deletion, insertion: areas under its curves, 0 to 1 for probabilities.
        p: chance that a moved map has a gap as large, one-sided, 0 to 1.
        level: what ``p`` had to reach, corrected for the number of maps.
        believed: whether it did, and so did all maps with a smaller p.
    """

    method: str
    deletion: float
    insertion: float
    p: float
    level: float
    believed: bool

    @property
    def gap(self) -> float:
        """Area under insertion minus area under deletion: larger is more faithful."""
        return self.insertion - self.deletion


@dataclass(frozen=True)
class Belief:
    """What one image says of several maps.

    Attributes:
        tried: one entry per map, the largest gap first.
        moved: ``(K,)``, gaps of the maps moved to other places.
        target: the class whose probability was followed.
        replacement: what stood in the place of patches.
        beside: maps that are no answers themselves, measured for comparison and not tested.
    """

    tried: tuple[Tried, ...]
    moved: Array
    target: int
    replacement: Replacement
    beside: tuple[Tried, ...] = ()

    @property
    def best(self) -> Tried | None:
        """The believed map with the largest gap; None where none is better than the control."""
        return next((entry for entry in self.tried if entry.believed), None)


def believe(
    vit: Vit,
    pixels: Tensor,
    heats: Sequence[Heat],
    target: int,
    *,
    beside: Sequence[Heat] = (),
    replacement: Replacement = "blur",
    steps: int | None = STEPS,
    moved: int = MOVED,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Belief:
    """Test every map of one image against the same maps moved to random places.

    About ``2 · (steps − 1) · (maps + moved)`` forward passes.

    Args:
        pixels: the image, ``(1, 3, h, w)``, as ``vit.pixels`` makes it.
        heats: maps ``(rows, cols)``, one of a method.
        target: the class that is followed.
        beside: maps such as the centre prior, which are followed too but neither tested nor moved.
        moved: K, how many moved maps are the control, drawn from all maps in turn.
        seed: with the image's own pixels, of the moves.

    Raises:
        AttnlibError: there is no map, a single patch, fewer than two moved maps, or as
            :func:`attnlib.evaluation.faithfulness.evaluate`.
        OutOfMemory: not even one pass fits into memory.
    """
    if not heats:
        raise AttnlibError("Give at least one map to test.")
    if moved < 2:
        raise AttnlibError(f"At least 2 moved maps make a control, not {moved}.")
    if heats[0].values.size < 2:
        raise AttnlibError("A map of a single patch cannot be moved, so it cannot be tested.")
    digest = zlib.crc32(pixels.float().cpu().numpy().tobytes())
    random = np.random.default_rng([seed, digest])
    control = [
        replace(
            heats[i % len(heats)],
            values=moved_map(heats[i % len(heats)].values, random),
            method=f"moved {i}",
        )
        for i in range(moved)
    ]
    found = faithfulness.evaluate(
        vit,
        pixels,
        [*heats, *control, *beside],
        [target],
        replacement=replacement,
        steps=steps,
        draws=1,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    gaps = np.array([_gap(entry) for entry in found.methods])
    last = len(heats) + moved
    chances = chance(gaps[: len(heats)], gaps[len(heats) : last])
    levels, believed = holm(chances)
    tried = [
        Tried(
            entry.method,
            float(entry.deletion.auc[0]),
            float(entry.insertion.auc[0]),
            *(float(chances[i]), float(levels[i]), bool(believed[i])),
        )
        for i, entry in enumerate(found.methods[: len(heats)])
    ]
    tried.sort(key=lambda entry: -entry.gap)
    others = chance(gaps[last:], gaps[len(heats) : last])
    known = tuple(
        Tried(
            entry.method,
            float(entry.deletion.auc[0]),
            float(entry.insertion.auc[0]),
            float(p),
            math.nan,
            believed=False,
        )
        for entry, p in zip(found.methods[last:], others, strict=True)
    )
    return Belief(tuple(tried), gaps[len(heats) : last], target, replacement, known)


def moved_map(values: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A map ``(rows, cols)`` at another place: shifted over the edges, and mirrored by chance."""
    rows, cols = values.shape
    # Every shift but none at all.
    down, right = divmod(int(random.integers(1, rows * cols)), cols)
    mirrored = values[:: random.choice((1, -1)), :: random.choice((1, -1))]
    return np.ascontiguousarray(np.roll(mirrored, (down, right), axis=(0, 1)))


def chance(gaps: Array, moved: Array) -> Array:
    """For each gap ``(M,)`` the chance that another moved map ``(K,)`` has one as large.

    From Student's t with K − 1 degrees of freedom for one more draw, t = (gap − mean) ÷
    (s · √(1 + 1/K)). Where all moved maps are equal, nothing can be told: 1.
    """
    count = len(moved)
    spread = float(moved.std(ddof=1)) * math.sqrt(1 + 1 / count)
    if spread <= 1e-12:
        return np.ones(len(gaps))
    return np.asarray(stdtr(count - 1, (moved.mean() - gaps) / spread))


def holm(chances: Array, level: float = LEVEL) -> tuple[Array, NDArray[np.bool_]]:
    """Levels ``(M,)`` and which chances reach theirs, at ``level`` for all M together.

    The smallest is compared with level/M, the next with level/(M − 1), until one fails.
    """
    count = len(chances)
    levels, believed = np.empty(count), np.zeros(count, np.bool_)
    holds = True
    for place, i in enumerate(np.argsort(chances, kind="stable")):
        levels[i] = level / (count - place)
        holds = holds and bool(chances[i] <= levels[i])
        believed[i] = holds
    return levels, believed


def _gap(entry: Perturbed) -> float:
    return float(entry.insertion.auc[0] - entry.deletion.auc[0])
