"""Deletion and insertion: does the model's answer follow the patches that a map points at?

Patches are taken out of the image (deletion), or put into a replacement picture (insertion), in
descending order of a map, and the probability of a class is followed. A faithful map makes the
deletion curve fall early (small area) and the insertion curve rise early (large area).

Sources: RISE, Petsiuk et al., BMVC 2018 (deletion, insertion, area by the trapezoid rule);
Chefer, Gur & Wolf, CVPR 2021 (positive and negative perturbation). Positive perturbation is
deletion. Negative perturbation takes out the lowest patches first, so it is the insertion curve
read from its end, and has the same area.

An area means little by itself, as any picture with patches replaced is unusual to the model:
every method is therefore drawn beside random orders of the same patches.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit
from torch import Tensor

from attnlib.errors import AttnlibError
from attnlib.methods import perturbation
from attnlib.methods.base import Progress
from attnlib.methods.perturbation import BATCH_SIZE, Replacement

if TYPE_CHECKING:
    from attnlib.methods import Heat
    from attnlib.model.vit import Vit

Array = NDArray[np.float64]
STEPS, DRAWS = 16, 8


@dataclass(frozen=True)
class Curve:
    """Probabilities as patches are taken out or put in.

    Attributes:
        fractions: ``(S,)`` share of the patches taken out (deletion) or put in (insertion), from
            0 to 1.
        probabilities: ``(S, C')`` of the chosen classes.
    """

    fractions: Array
    probabilities: Array

    @property
    def auc(self) -> Array:
        """Area under the curve of each class ``(C',)``, 0 to 1, by the trapezoid rule."""
        return _area(self.fractions, self.probabilities)


@dataclass(frozen=True)
class Draws:
    """The same for K random orders.

    Attributes:
        fractions: ``(S,)``.
        probabilities: ``(K, S, C')``.
    """

    fractions: Array
    probabilities: Array

    @property
    def mean(self) -> Curve:
        """The mean curve of the draws."""
        return Curve(self.fractions, self.probabilities.mean(axis=0))

    @property
    def deviation(self) -> Array:
        """Standard deviation of the draws ``(S, C')``; NaN for a single draw."""
        return _deviation(self.probabilities)

    @property
    def auc(self) -> Array:
        """Area under the curve of each draw, ``(K, C')``."""
        return np.stack([_area(self.fractions, draw) for draw in self.probabilities])

    def auc_interval(self) -> tuple[Array, Array]:
        """Where 95 % of the areas of single random orders lie: two ``(C',)``; NaN for one draw.

        A prediction interval, mean ± t · s · √(1 + 1/K) with K − 1 degrees of freedom, cut to 0
        and 1: a method outside of it does something that a random order rarely does.
        """
        return _prediction(self.auc)

    def interval(self) -> tuple[Array, Array]:
        """The same for the curve, point by point: two ``(S, C')``."""
        return _prediction(self.probabilities)


@dataclass(frozen=True)
class Perturbed:
    """Both curves of one map.

    Attributes:
        method: name of the method.
        target: the class that the map explains; None for a map of no class.
    """

    method: str
    target: int | None
    deletion: Curve
    insertion: Curve


@dataclass(frozen=True)
class Faithfulness:
    """What one image says of several maps.

    Attributes:
        classes: the C' classes whose probabilities were followed.
        replacement: what stood in the place of patches.
        methods: one entry per map, in the order given.
        random_deletion, random_insertion: the random orders, shared by all methods.
    """

    classes: tuple[int, ...]
    replacement: Replacement
    methods: tuple[Perturbed, ...]
    random_deletion: Draws
    random_insertion: Draws


def evaluate(
    vit: Vit,
    pixels: Tensor,
    heats: Sequence[Heat],
    classes: Sequence[int],
    *,
    replacement: Replacement = "blur",
    steps: int | None = STEPS,
    draws: int = DRAWS,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> Faithfulness:
    """Deletion and insertion curves of several maps of one image, and of random orders.

    All curves share their batches, and the plain and the fully replaced image are passed once:
    2 + (steps − 1) · (2 · maps + draws) forward passes.

    Args:
        pixels: the image, ``(1, 3, h, w)``, as ``vit.pixels`` makes it.
        heats: maps ``(rows, cols)``. Signed maps are ordered by value, evidence against last.
        classes: classes to follow, e.g. the predicted and the true one; repeats are dropped.
        replacement: see ``methods.perturbation.reference``. A map of occlusion with the same
            replacement is measured with its own ruler.
        steps: steps of equal width, as near as whole patches allow; None is every patch.
        draws: K random orders. The reverse of a random order is as random, and inserting in
            reverse order passes through the same pictures as deleting, so K deletions give K
            insertions too.
        seed: with the image's own pixels, of the random orders and of the order of patches with
            equal values, which is never their position and differs from image to image.

    Raises:
        AttnlibError: an option or class is not allowed, or a map does not fit.
        OutOfMemory: not even one pass fits into memory.
    """
    vit = vit.fitting(pixels)
    classes = tuple(dict.fromkeys(classes))
    grid = vit.layout.grid
    _check(heats, classes, grid, steps, draws)
    count = vit.layout.patches
    # The same order for every image would be a fixed map, and not random over many images.
    digest = zlib.crc32(pixels.float().cpu().numpy().tobytes())
    tie_seed, draw_seed = np.random.SeedSequence([seed, digest]).spawn(2)
    # One key for all maps: what a method gets does not depend on which others are looked at.
    tie_break = np.random.default_rng(tie_seed).permutation(count)
    random = np.random.default_rng(draw_seed)
    orders = [descending(heat.values, tie_break) for heat in heats]
    random_orders = [random.permutation(count) for _ in range(draws)]

    taken = np.rint(np.linspace(0, count, min(steps or count, count) + 1)).astype(np.int64)
    inner = taken[1:-1]
    # Inserting the top c patches is deleting all but them.
    deletions = [order < c for order in map(_places, orders + random_orders) for c in inner]
    insertions = [order >= count - c for order in map(_places, orders) for c in inner[::-1]]
    ends = [np.zeros(count, np.bool_), np.ones(count, np.bool_)]
    masks = np.stack([*ends, *deletions, *insertions]).reshape(-1, *grid)
    found = perturbation.probabilities(
        vit,
        pixels,
        perturbation.reference(pixels, replacement),
        masks,
        classes,
        batch_size=batch_size,
        progress=progress,
    )
    plain, replaced = found[0], found[1]
    curves = found[2:].reshape(2 * len(heats) + draws, len(inner), len(classes))
    fractions = taken / count
    added = (count - taken[::-1]) / count

    down = [_joined(plain, curve, replaced) for curve in curves[: len(heats) + draws]]
    up = [_joined(replaced, curve, plain) for curve in curves[len(heats) + draws :]]
    drawn = np.stack(down[len(heats) :])
    return Faithfulness(
        classes,
        replacement,
        tuple(
            Perturbed(heat.method, heat.target, Curve(fractions, fall), Curve(added, rise))
            for heat, fall, rise in zip(heats, down, up, strict=False)
        ),
        Draws(fractions, drawn),
        Draws(added, drawn[:, ::-1]),
    )


def descending(values: ArrayLike, tie_break: NDArray[np.int64]) -> NDArray[np.int64]:
    """Patch numbers ``(N,)`` from the highest value to the lowest.

    Args:
        tie_break: ``(N,)``; among equal values the patch with the lower number comes first.
    """
    return np.lexsort((tie_break, -np.asarray(values, dtype=np.float64).ravel()))


# -- inside ------------------------------------------------------------------------------------


def _check(
    heats: Sequence[Heat],
    classes: tuple[int, ...],
    grid: tuple[int, int],
    steps: int | None,
    draws: int,
) -> None:
    if not classes:
        raise AttnlibError("Give at least one class whose probability is followed.")
    if steps is not None and steps < 1:
        raise AttnlibError(f"steps must be at least 1, not {steps}.")
    if draws < 1:
        raise AttnlibError(f"draws must be at least 1, not {draws}: random is the baseline.")
    seen = set()
    for heat in heats:
        if heat.values.shape != grid:
            raise AttnlibError(
                f"The map of {heat.method} is {heat.values.shape}; this model has patches {grid}."
            )
        if not np.isfinite(heat.values).all():
            raise AttnlibError(f"The map of {heat.method} has values that are not finite.")
        if (heat.method, heat.target) in seen:
            raise AttnlibError(
                f"The map of {heat.method} was given twice: an image counts once for a method."
            )
        seen.add((heat.method, heat.target))


def _places(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each patch its place in an order ``(N,)``."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _joined(first: Array, inner: Array, last: Array) -> Array:
    return np.concatenate([first[np.newaxis], inner, last[np.newaxis]])


def _area(fractions: Array, values: Array) -> Array:
    return np.asarray(np.trapezoid(values, fractions, axis=0))


def _deviation(values: Array) -> Array:
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    spread: Array = values.std(axis=0, ddof=1)
    return spread


def _prediction(values: Array) -> tuple[Array, Array]:
    count = len(values)
    half = _deviation(values) * quantile(count - 1) * math.sqrt(1 + 1 / count)
    mean: Array = np.asarray(values.mean(axis=0))
    return (mean - half).clip(0, 1), (mean + half).clip(0, 1)


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, for a two-sided interval of 95 %; NaN without freedom."""
    return float(stdtrit(freedom, 0.975)) if freedom > 0 else math.nan
