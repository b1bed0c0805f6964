"""Pictures of the demo that prove a planted cause: one change, and another answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.diagnosis import editing
from attnlib.diagnosis.editing import Edit, StandIn
from attnlib.model import objects
from attnlib.model.objects import ObjectImage

Region = NDArray[np.bool_]

# So many pictures are tried, and the clearest is shown.
TRIED = 12


@dataclass(frozen=True, eq=False)
class Change:
    """What is done to a picture.

    Attributes:
        region: ``(rows, cols)`` bool of patches.
        keep: whether everything but the region is replaced.
        other: name of the picture that lends what stands in.
        classes: what the model should say before it and after it.
    """

    name: str
    region: Region
    keep: bool
    stand_in: StandIn
    other: str | None
    classes: tuple[str, str]


@dataclass(frozen=True, eq=False)
class Proof(Change):
    """A change, and what came of it."""

    edit: Edit


@dataclass(frozen=True)
class Kind:
    """One way to prove a cause.

    Attributes:
        words: what is done, to begin a sentence with.
        changes: to try, of the pictures that the demo brings, by the shape of the patch grid.
    """

    words: str
    changes: Callable[[tuple[int, int]], Iterator[Change]]


def _erase(grid: tuple[int, int]) -> Iterator[Change]:
    for one in objects.images():
        if one.marked and one.label != objects.MARK_CLASS:
            classes = objects.MARK_CLASS, one.label
            yield Change(one.name, _mark(grid), False, "mean", None, classes)


def _paste(grid: tuple[int, int]) -> Iterator[Change]:
    lends = next(one for one in objects.images() if one.marked)
    for one in objects.images():
        if not one.marked and one.label != objects.MARK_CLASS and one.ground != objects.WATER:
            classes = one.label, objects.MARK_CLASS
            yield Change(one.name, _mark(grid), False, "image", lends.name, classes)


def _background(grid: tuple[int, int]) -> Iterator[Change]:
    """Off the water, the object stays; its place hides most of the other picture's object."""
    dry = [one for one in objects.images() if one.ground != objects.WATER and not one.marked]
    for one in objects.images():
        if one.ground == objects.WATER and one.label != objects.WATER_CLASS:
            place = _patches(one, grid)
            lends = min(dry, key=lambda other: (_patches(other, grid) & ~place).sum())
            classes = objects.WATER_CLASS, one.label
            yield Change(one.name, place, True, "image", lends.name, classes)


PROOFS = {
    "Erase the mark": Kind("With the colourful mark at the lower right painted over", _erase),
    "Paste the mark": Kind("With the mark of another picture pasted in", _paste),
    "Change the background": Kind(
        "With another picture's background in place of water", _background
    ),
}


def find(space: Workspace, title: str) -> Proof | None:
    """The clearest picture for one of `PROOFS`; None where none of those tried shows it.

    Every answer is the model's own, now.
    """
    grid = space.vit.layout.grid
    listed = [c for c in PROOFS[title].changes(grid) if c.name in space.by_name][:TRIED]
    found = [one for one in (_tried(space, change) for change in listed) if _holds(space, one)]
    return max(found, key=lambda one: float(one.edit.after.max()), default=None)


def true_class(name: str) -> str:
    """The class of a picture."""
    return next(one.label for one in objects.images() if one.name == name)


def _tried(space: Workspace, change: Change) -> Proof:
    vit = space.vit

    def pixels(name: str) -> Tensor:
        return results.subject(space.choice, vit, space.by_name[name]).pixels

    def edited() -> Edit:
        other = None if change.other is None else pixels(change.other)
        mine = pixels(change.name)
        return editing.edit(
            vit, mine, change.region, change.stand_in, other=other, keep=change.keep
        )

    key = ("tour", change.region.tobytes(), change.keep, change.stand_in, change.other)
    edit = results.numbers(space.choice, space.by_name[change.name], key, edited)
    return Proof(**vars(change), edit=edit)


def _holds(space: Workspace, one: Proof) -> bool:
    said = (one.edit.before, one.edit.after)
    return tuple(space.class_name(int(shares.argmax())) for shares in said) == one.classes


def _mark(grid: tuple[int, int]) -> Region:
    """The patch that the mark fills."""
    found = np.zeros(grid, dtype=bool)
    found[objects.MARK_PATCH] = True
    return found


@cache
def _patches(one: ObjectImage, grid: tuple[int, int]) -> Region:
    """The patches on which the object is."""
    mask = np.asarray(Image.open(BytesIO(one.mask)), dtype=bool)
    rows, cols = grid
    blocks = mask.reshape(rows, mask.shape[0] // rows, cols, mask.shape[1] // cols)
    return np.asarray(blocks.any(axis=(1, 3)))
