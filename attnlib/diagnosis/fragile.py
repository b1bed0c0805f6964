"""Predictions that harmless changes of the picture turn: one image's, and those of a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from attnlib.diagnosis.asking import ask, some
from attnlib.diagnosis.changes import SMALL, Change, changes
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA, Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.diagnosis.unusual import FEWEST, unusual
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

# Of a set so many right images and so many mistakes are changed.
IMAGES = 40
# Of 51 right demo images 47 keep their class under more than 7 of the 10 mildest changes.
IMAGE_SHARE = 0.3
# The mildest noise of the benchmark breaks 14 % of the right demo images, other changes less.
SET_SHARE = 0.3


@dataclass(frozen=True)
class Fragility:
    """One image under every change.

    Attributes:
        before: the class of the picture as it is.
        label: the true class; None if it is not known.
        tried: the changes.
        after: ``(changes, C)``, probabilities under each.
    """

    before: int
    label: int | None
    tried: tuple[Change, ...]
    after: NDArray[np.float64]

    @property
    def now(self) -> NDArray[np.int64]:
        """``(changes,)``, the class under each."""
        return np.asarray(self.after.argmax(axis=1), dtype=np.int64)

    @property
    def repaired(self) -> list[Change]:
        """Changes that lead from a wrong class to the true one."""
        wrong = self.label is not None and self.before != self.label
        return self._where((self.now == self.label) & wrong)

    @property
    def broken(self) -> list[Change]:
        """Changes that lead from the true class to another."""
        return self._where((self.now != self.label) & (self.before == self.label))

    @property
    def turned(self) -> list[Change]:
        """Changes that lead to another class, whatever is true."""
        return self._where(self.now != self.before)

    @property
    def share(self) -> float:
        """How many of the mildest changes lead to another class, as a share of them."""
        mild = np.array([change.strength == 1 for change in self.tried])
        return float((self.now != self.before)[mild].mean())

    def _where(self, which: NDArray[np.bool_]) -> list[Change]:
        return [change for change, one in zip(self.tried, which, strict=True) if one]


def fragility(
    vit: Vit, image: Image.Image, label: int | None = None, progress: Progress | None = None
) -> Fragility:
    """One image under every change, a pass for each (28 of them).

    Raises:
        ModelError: the model does not run on the image.
    """
    picture = as_seen(vit, image)
    tried = tuple(changes(picture))
    pictures = (picture, *(change.of(picture) for change in tried))
    found = ask(vit, pictures, len(pictures), progress)
    return Fragility(int(found[0].argmax()), label, tried, found[1:])


def about(examined: Examined, name: str, progress: Progress | None = None) -> Finding | None:
    """Whether one image's prediction is fragile, beside how often right ones of its set are.

    Raises:
        AttnlibError: the model does not run on the image.
    """
    place = examined.names.index(name)
    label = int(examined.labels[place]) if examined.labels[place] >= 0 else None
    found = fragility(examined.vit, examined.images[place], label, progress)
    if found.share < IMAGE_SHARE:
        return None
    class_name, tries = examined.class_name, len(found.tried)
    mild = sum(change.strength == 1 for change in found.tried)
    turned = round(found.share * mild)
    word, which = ("repair", found.repaired) if found.repaired else ("turn", found.turned)
    if found.broken:
        word, which = "break", found.broken
    kept = [change.title for change in found.tried if change not in found.turned]
    low, high = _interval(turned, mild)
    return Finding(
        kind="fragile",
        scope="image",
        sentence=(
            f"The prediction “{class_name(found.before)}” changes under {turned} of {mild} of the "
            f"mildest changes of the picture: {_listed([change.title for change in which])} "
            f"{word} it."
        ),
        value=found.share,
        threshold=IMAGE_SHARE,
        threshold_source="92 % of the right images of the demo are below it",
        evidence=(
            Evidence(f"{len(which)} of {tries} changes {word} it.", (name,)),
            *_unusual(examined, place),
        ),
        evidence_against=(
            Evidence(
                f"{len(kept)} of {tries} changes leave it as it is: {_listed(kept)}.", (name,)
            ),
        ),
        certainty=Certainty(interval=(low, high), tried=mild),
        next_steps=(
            "The image lies at a border between classes: a reason read from one map of it is about "
            "as good as a throw of a coin. Training with these changes moves the border."
        ),
        mistakes=int(bool(examined.wrong[place])),
        images=(name,),
        detail={
            "repaired": [change.title for change in found.repaired],
            "broken": [change.title for change in found.broken],
            "turned": [change.title for change in found.turned],
        },
    )


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """A finding if a harmless change breaks many images that were right."""
    vit = examined.vit
    right = some(np.flatnonzero(examined.right), IMAGES)
    wrong = some(np.flatnonzero(examined.wrong), IMAGES)
    places = np.concatenate([right, wrong])
    if not len(right):
        return []
    pictures = [as_seen(vit, examined.images[place]) for place in places]
    mild = [change for change in changes(pictures[0]) if change.strength == 1]
    total = len(mild) * len(places)
    changed = (
        _of_kind(picture, change.kind).of(picture, seed)
        for change in mild
        for seed, picture in enumerate(pictures)
    )
    found = ask(vit, changed, total, progress).argmax(axis=1).reshape(len(mild), len(places))
    same = found == examined.labels[places]
    broken, repaired = ~same[:, : len(right)], same[:, len(right) :]
    # The least share that is compatible with what was seen, over all changes tried.
    worst = int(broken.sum(axis=1).argmax())
    count, level = int(broken[worst].sum()), ALPHA / len(mild)
    p_value = float(stats.binomtest(count, len(right), SET_SHARE, "greater").pvalue) * len(mild)
    if p_value >= ALPHA:
        return []
    low, high = _interval(count, len(right), level)
    change = mild[worst]
    hit = right[broken[worst]]
    others = [
        f"{one.kind} {int(row.sum())}"
        for one, row in zip(mild, broken, strict=True)
        if one != change
    ]
    fixed = wrong[repaired[worst]]
    return [
        Finding(
            kind="fragile",
            scope="set",
            sentence=(
                f"Harmless {change.kind} breaks {count} of {len(right)} right predictions, and "
                f"repairs {len(fixed)} of {len(wrong)} mistakes."
            ),
            value=count / len(right),
            threshold=SET_SHARE,
            threshold_source=(
                "above what the mildest changes break of a usual model (14 % of the demo's right "
                "images at most)"
            ),
            evidence=(
                Evidence(
                    f"{change.title}, after {_benchmark(pictures[0])}: {count} of {len(right)} "
                    "right images become wrong.",
                    examined.named(hit.tolist()),
                ),
            ),
            evidence_against=(
                Evidence(
                    f"Of {len(right)} right images the other changes break: {_listed(others)}."
                ),
            ),
            certainty=Certainty(min(1.0, p_value), (low, high), len(mild)),
            next_steps=(
                f"Train with {change.kind} as an augmentation, or check whether the images here "
                "differ in it from those of the training."
            ),
            mistakes=len(fixed),
            images=examined.named(hit.tolist()),
            detail={
                "change": change.kind,
                "broken": {one.kind: int(row.sum()) for one, row in zip(mild, broken, strict=True)},
                "repaired": {
                    one.kind: int(row.sum()) for one, row in zip(mild, repaired, strict=True)
                },
                "right": len(right),
                "wrong": len(wrong),
            },
        )
    ]


def as_seen(vit: Vit, image: Image.Image) -> Image.Image:
    """The image at the size to which the model's preparation shrinks it, if that is smaller.

    Changes are then of the size that their parameters are meant for, and cheap on photographs.
    """
    resize = vit.preparation.resize or vit.size
    side = max(resize)
    if min(image.size) <= side:
        return image
    factor = side / min(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    return image.resize(size, Image.Resampling.BICUBIC)


def _of_kind(picture: Image.Image, kind: str) -> Change:
    """The mildest change of a kind for a picture of this size."""
    return next(one for one in changes(picture) if one.kind == kind)


def _benchmark(picture: Image.Image) -> str:
    return "CIFAR-10-C" if min(picture.size) <= SMALL else "ImageNet-C"


def _unusual(examined: Examined, place: int) -> tuple[Evidence, ...]:
    """Where the image lies among the set."""
    if len(examined.names) < FEWEST:
        return ()
    energy, distance = unusual(examined).rank(place)
    sure = "" if np.isnan(energy) else f", and by its energy than {energy:.0%}"
    return (
        Evidence(
            f"Its features lie as far out as those of {distance:.0%} of the set or farther "
            f"(Mahalanobis distance){sure}.",
            (examined.names[place],),
        ),
    )


def _interval(count: int, trials: int, level: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    found = stats.binomtest(count, trials).proportion_ci(1 - level)
    return float(found.low), float(found.high)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


FINDER = Finder(
    "fragile",
    "Fragile predictions",
    "Do small changes that a person does not mind (shift, crop, JPEG, noise, mirror) break them?",
    find,
    needs_mistakes,
    lambda examined: 10 * sum(min(IMAGES, int(n.sum())) for n in (examined.right, examined.wrong)),
)
