"""Two models on the same images: what the second repairs and breaks, and whether by chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import pandas as pd

from attnlib.audit.numbers import wilson
from attnlib.audit.prediction import Prediction
from attnlib.data.text import loose
from attnlib.evaluation.paired import mcnemar

Category = Literal["fixed", "broken", "still wrong", "still right"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


@dataclass(frozen=True)
class Versus:
    """What became of each image between a first and a second model.

    Attributes:
        categories: by name, in the order of the first model's predictions, of the images whose
            label both models know.
        unlabelled: names of images of which one or both models know no label.
        alone: names of images that only one of them could look at.
    """

    categories: Mapping[str, Category]
    unlabelled: tuple[str, ...]
    alone: tuple[str, ...]

    def count(self, category: Category) -> int:
        """How many images it has."""
        return sum(found == category for found in self.categories.values())

    @property
    def images(self) -> int:
        """How many images are compared."""
        return len(self.categories)

    def right(self, second: bool) -> int:
        """How many of them a model has right: the second one, or the first."""
        return self.count("still right") + self.count("fixed" if second else "broken")

    def interval(self, second: bool) -> tuple[float, float]:
        """Of a model's accuracy on them, the Wilson 95 % interval.

        Raises:
            ValueError: no image is compared.
        """
        return wilson(self.right(second), self.images)

    @cached_property
    def p_value(self) -> float:
        """McNemar's exact test, see :func:`attnlib.evaluation.paired.mcnemar`."""
        return mcnemar(self.count("fixed"), self.count("broken"))


def versus(first: Sequence[Prediction], second: Sequence[Prediction]) -> Versus:
    """Compare the predictions of two models, image by image.

    An image is right if its label was predicted; of independent labels if all were and no other.
    Each model's labels are indices of its own classes: they need not agree.

    Args:
        first, second: predictions of the same images, by name, in any order.
    """
    other = {prediction.name: prediction for prediction in second}
    categories: dict[str, Category] = {}
    unlabelled: list[str] = []
    for before in first:
        after = other.get(before.name)
        if after is None:
            continue
        if "unlabelled" in (before.outcome, after.outcome):
            unlabelled.append(before.name)
        else:
            categories[before.name] = _category(before.wrong, after.wrong)
    both = other.keys() & {prediction.name for prediction in first}
    alone = [p.name for p in (*first, *second) if p.name not in both]
    return Versus(categories, tuple(unlabelled), tuple(dict.fromkeys(alone)))


def _category(before: bool, after: bool) -> Category:
    if before and after:
        return "still wrong"
    if before or after:
        return "fixed" if before else "broken"
    return "still right"


def shared_classes(first: Sequence[str], second: Sequence[str]) -> dict[int, int]:
    """Which class of the second model each class of the first one is, by name: index -> index.

    The whole name decides, case, spaces, underscores and hyphens apart; then its first synonym
    ("tench, Tinca tinca" and "tench"), where only one class of each model has that.
    """
    found: dict[int, int] = {}
    for spelled in (loose, _first_synonym):
        ours, theirs = _by_spelling(first, spelled), _by_spelling(second, spelled)
        taken = set(found.values())
        for spelling, index in ours.items():
            other = theirs.get(spelling)
            if index is None or other is None or index in found or other in taken:
                continue
            found[index] = other
    return found


def _first_synonym(name: str) -> str:
    return loose(name.split(",")[0])


def _by_spelling(names: Sequence[str], spelled: Callable[[str], str]) -> dict[str, int | None]:
    """Spelling -> index; None where several are spelled so."""
    found: dict[str, int | None] = {}
    for index, name in enumerate(names):
        key = spelled(name)
        found[key] = None if key in found else index
    return found


def confusion_difference(
    first: Sequence[Prediction],
    second: Sequence[Prediction],
    first_names: Sequence[str],
    second_names: Sequence[str],
) -> pd.DataFrame:
    """How often each true class was taken for each class by either model.

    Of the images whose label both know. Classes are the same by name, see `shared_classes`, and
    are called as the first model calls them; what only the second has is called as it says.

    Returns:
        Columns ``true``, ``predicted`` (names), ``first``, ``second`` and ``difference`` (second
        minus first, images), the largest change first; pairs that either model has.

    Raises:
        ValueError: labels are independent, or there are no classes: there are no pairs then.
    """
    if any(p.kind not in ("classes", "binary") for p in (*first, *second)):
        raise ValueError("only classes of which one is true are taken for one another")
    found = versus(first, second).categories
    back = {there: here for here, there in shared_classes(first_names, second_names).items()}

    def first_name(index: int) -> str:
        return first_names[index]

    def second_name(index: int) -> str:
        return first_names[back[index]] if index in back else second_names[index]

    counts: dict[tuple[str, str], list[int]] = {}
    true = {p.name: first_name(p.label) for p in first if p.label is not None}
    for place, (predictions, named) in enumerate(((first, first_name), (second, second_name))):
        for prediction in predictions:
            if prediction.name in found:
                pair = true[prediction.name], named(prediction.predicted)
                counts.setdefault(pair, [0, 0])[place] += 1
    rows = [(*pair, before, after, after - before) for pair, (before, after) in counts.items()]
    rows.sort(key=lambda row: (-abs(row[4]), row[0], row[1]))
    return pd.DataFrame(rows, columns=["true", "predicted", "first", "second", "difference"])
