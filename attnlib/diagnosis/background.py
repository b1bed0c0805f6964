"""Whether what is around the objects makes a class, with masks of the objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from attnlib.diagnosis.asking import ask, some
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.filling import elsewhere, filled, on_ground
from attnlib.diagnosis.finder import ALPHA, Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.diagnosis.fragile import as_seen
from attnlib.methods.base import Progress

# Grounds of each class, and objects that are laid on each.
GROUNDS, OBJECTS = 12, 6
# Mistakes that are looked at for each class.
MISTAKES = 40
SHARE = 0.3
RESAMPLES = 9999


@dataclass(frozen=True)
class _Laid:
    """Objects on the grounds of other images.

    Attributes:
        objects, grounds: ``(n,)``, places of the images that each was made of.
        after: ``(n,)``, the class that the model then gives.
    """

    objects: NDArray[np.intp]
    grounds: NDArray[np.intp]
    after: NDArray[np.int64]


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """One finding for each class that its ground makes, most costly first."""
    labels = examined.labels
    known = np.array([name in examined.masks for name in examined.names])
    usable = np.flatnonzero(known & examined.labelled)
    classes = [int(one) for one in np.unique(labels[usable])]
    cut = {int(place): _cut(examined, int(place)) for place in usable}
    right = [place for place in cut if examined.right[place]]
    pairs = []
    rng = np.random.default_rng(0)
    for own in classes:
        for ground in some(usable[labels[usable] == own], GROUNDS):
            others = [place for place in right if labels[place] != own]
            for one in rng.permutation(others)[:OBJECTS]:
                pairs.append((int(one), int(ground)))
    if not pairs:
        return []
    empty = {ground: filled(*cut[ground]) for ground in {ground for _, ground in pairs}}
    laid = (on_ground(*cut[one], empty[ground]) for one, ground in pairs)
    after = ask(examined.vit, laid, len(pairs), progress).argmax(axis=1)
    objects, grounds = np.array(pairs, dtype=np.intp).T
    found = _Laid(objects, grounds, after)
    findings = [_of_class(examined, found, cut, one, len(classes)) for one in classes]
    listed = [finding for finding in findings if finding is not None]
    return sorted(listed, key=lambda finding: -finding.mistakes)


def _of_class(
    examined: Examined,
    laid: _Laid,
    cut: dict[int, tuple[Image.Image, NDArray[np.bool_]]],
    class_: int,
    tried: int,
) -> Finding | None:
    """The finding that grounds of one class make it, if they do."""
    labels = examined.labels
    # Objects of the class itself say nothing: they may well be known.
    apart = labels[laid.objects] != class_
    own = apart & (labels[laid.grounds] == class_)
    # Where an image was taken for the class, its ground may be the same: it is no control.
    drawn = examined.predicted[laid.grounds] == class_
    other = apart & (labels[laid.grounds] != class_) & ~drawn
    mine, theirs = (_by_ground(laid, which, class_) for which in (own, other))
    if len(mine) < 2 or len(theirs) < 2:
        return None
    count, total = int((laid.after[own] == class_).sum()), int(own.sum())
    control, controls = int((laid.after[other] == class_).sum()), int(other.sum())
    share, chance = count / total, control / controls
    if share - chance < SHARE:
        return None
    p_value = tried * float(
        # Grounds are exchanged and not pictures: those on one ground are not independent.
        stats.permutation_test(
            (mine, theirs),
            lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
            vectorized=True,
            alternative="greater",
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
        ).pvalue
    )
    if p_value >= ALPHA:
        return None
    name = examined.class_name(class_)
    flipped = np.unique(laid.objects[own & (laid.after == class_)])
    mistakes, repaired = _mistakes(examined, cut, class_)
    kept, moved, seen = _erased(examined, cut, class_)
    interval = stats.binomtest(count, total).proportion_ci()
    return Finding(
        kind="background",
        scope="set",
        sentence=(
            f"What is around the objects makes “{name}”: {count} of {total} other objects laid on "
            f"the ground of its images became “{name}”, against {control} of {controls} on other "
            "grounds."
        ),
        value=share - chance,
        threshold=SHARE,
        threshold_source="three in ten objects more than on other grounds, beyond chance",
        evidence=(
            Evidence(
                f"On the ground of “{name}” {count} of {total} objects of other classes, which "
                "the model had right, took its class.",
                examined.named(flipped.tolist()),
            ),
            Evidence(
                f"Of {len(mistakes)} mistakes for “{name}” with a mask {len(repaired)} are "
                "repaired on the ground of another class.",
                examined.named(repaired),
            ),
            Evidence(
                f"Without their object {kept} of {seen} right images of “{name}” keep the class; "
                f"without a region of the same shape elsewhere {moved} do."
            ),
        ),
        evidence_against=(
            Evidence(
                f"On other grounds {control} of {controls} objects took the class, and "
                f"{total - count} of {total} did not on its own."
            ),
        ),
        certainty=Certainty(min(1.0, p_value), (float(interval.low), float(interval.high)), tried),
        next_steps=(
            f"Collect images of “{name}” on other grounds and other objects on this one, or train "
            "with objects laid on exchanged grounds. Until then its accuracy on images of the "
            "same source says little."
        ),
        mistakes=len(repaired),
        classes=(class_,),
        images=examined.named([*repaired, *(i for i in mistakes if i not in repaired)]),
        detail={"flipped": count, "laid": total, "control": control, "controls": controls},
    )


def _by_ground(laid: _Laid, which: NDArray[np.bool_], class_: int) -> NDArray[np.float64]:
    """The share of objects that take a class, for each ground."""
    grounds = np.unique(laid.grounds[which])
    taken = laid.after == class_
    return np.array([taken[which & (laid.grounds == ground)].mean() for ground in grounds])


def _mistakes(
    examined: Examined,
    cut: dict[int, tuple[Image.Image, NDArray[np.bool_]]],
    class_: int,
) -> tuple[list[int], list[int]]:
    """Mistakes for a class that have a mask, and those that most grounds of their own class or
    of a third one repair."""
    labels = examined.labels
    mistakes = [
        place for place in cut if examined.wrong[place] and examined.predicted[place] == class_
    ][:MISTAKES]
    grounds = some([place for place in cut if labels[place] != class_], 3)
    if not mistakes or not len(grounds):
        return mistakes, []
    empty = [filled(*cut[ground]) for ground in grounds]
    laid = (on_ground(*cut[place], ground) for place in mistakes for ground in empty)
    after = ask(examined.vit, laid, len(mistakes) * len(empty)).argmax(axis=1)
    hits = after.reshape(len(mistakes), -1) == labels[mistakes][:, None]
    repaired = hits.sum(axis=1) * 2 > len(empty)
    return mistakes, [place for place, one in zip(mistakes, repaired, strict=True) if one]


def _erased(
    examined: Examined,
    cut: dict[int, tuple[Image.Image, NDArray[np.bool_]]],
    class_: int,
) -> tuple[int, int, int]:
    """Right images of a class that keep it without their object, without as large a region
    elsewhere, and how many there are."""
    own = [place for place in cut if examined.right[place] and examined.labels[place] == class_]
    own = own[:MISTAKES]
    rng = np.random.default_rng(0)
    pictures = [filled(*cut[place]) for place in own]
    for place in own:
        picture, mask = cut[place]
        pictures.append(filled(picture, elsewhere(mask, rng)))
    after = ask(examined.vit, pictures, len(pictures)).argmax(axis=1)
    kept = after == class_
    return int(kept[: len(own)].sum()), int(kept[len(own) :].sum()), len(own)


def _cut(examined: Examined, place: int) -> tuple[Image.Image, NDArray[np.bool_]]:
    """An image about as large as the model sees it, and its mask."""
    picture = as_seen(examined.vit, examined.images[place])
    mask = examined.masks[examined.names[place]]
    if picture.size != mask.shape[::-1]:
        drawn = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
        mask = np.asarray(drawn, dtype=bool)
    return picture, mask


def _lacks(examined: Examined) -> str:
    without = needs_mistakes(examined)
    if without:
        return without
    known = [name in examined.masks for name in examined.names]
    masked = examined.labels[np.array(known) & examined.labelled]
    return "" if len(np.unique(masked)) > 1 else "no two classes have masks of their objects"


FINDER = Finder(
    "background",
    "Reliance on the background",
    "Does what is around the objects make a class? (Needs masks.)",
    find,
    _lacks,
    lambda examined: len(np.unique(examined.labels)) * GROUNDS * OBJECTS,
)
