"""Images that every model gets wrong: then the image or its label is the reason, not the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.errors import AttnlibError


@dataclass(frozen=True)
class Judged:
    """What one model says of labelled images; its classes may have an order of their own.

    Attributes:
        model: its name.
        said: the predicted class by image name.
        true: the probability of the true class, 0 to 1, by image name.
        wrong: whether the prediction is a mistake, by image name.
    """

    model: str
    said: Mapping[str, str]
    true: Mapping[str, float]
    wrong: Mapping[str, bool]


def judged(examined: Examined) -> Judged:
    """The labelled images of a set, as its model judges them."""
    places = [int(place) for place in np.flatnonzero(examined.labelled)]
    names = examined.named(places)
    return Judged(
        examined.vit.name,
        {
            n: examined.class_name(int(examined.predicted[p]))
            for n, p in zip(names, places, strict=True)
        },
        {
            n: float(examined.probabilities[p, examined.labels[p]])
            for n, p in zip(names, places, strict=True)
        },
        {n: bool(examined.wrong[p]) for n, p in zip(names, places, strict=True)},
    )


def hard(examinations: Sequence[Examined]) -> Finding | None:
    """The images that all models get wrong, if they are more than separate errors would give.

    Args:
        examinations: of two or more models, on the same images with the same labels and classes.

    Raises:
        AttnlibError: there are fewer than two models, or their sets differ.
    """
    _comparable(examinations)
    return hard_for_all([judged(one) for one in examinations])


def expected(models: Sequence[Judged]) -> float:
    """On how many images errors that have nothing to do with each other would meet."""
    count = len(models[0].wrong)
    return count * float(np.prod([sum(one.wrong.values()) / max(count, 1) for one in models]))


def hard_for_all(models: Sequence[Judged]) -> Finding | None:
    """The same of models whose classes need not be in one order.

    Args:
        models: two or more, of the same images.
    """
    first = models[0]
    count = len(first.wrong)
    everywhere = [name for name in first.wrong if all(one.wrong[name] for one in models)]
    met = expected(models)
    if not everywhere:
        return None
    p_value = float(stats.binomtest(len(everywhere), count, met / count, "greater").pvalue)
    if p_value >= ALPHA:
        return None
    everywhere.sort(key=lambda name: float(np.mean([one.true[name] for one in models])))
    agreed = [name for name in everywhere if len({one.said[name] for one in models}) == 1]
    interval = stats.binomtest(len(everywhere), count).proportion_ci()
    many = "both" if len(models) == 2 else f"all {len(models)}"
    return Finding(
        kind="hard",
        scope="set",
        sentence=(
            f"{len(everywhere)} of {count} images are wrong with {many} models; errors that "
            f"had nothing to do with each other would meet on {met:.1f}."
        ),
        value=len(everywhere) / count,
        threshold=met / count,
        threshold_source="the product of the models' shares of mistakes",
        evidence=(
            Evidence(
                f"On {len(agreed)} of them {many} models say the same wrong class: there the label "
                "is worth a look first.",
                tuple(agreed),
            ),
        ),
        evidence_against=tuple(
            Evidence(
                f"{sum(one.wrong.values()) - len(everywhere)} of {sum(one.wrong.values())} "
                f"mistakes of {one.model} are right with another model."
            )
            for one in models
        ),
        certainty=Certainty(min(1.0, p_value), (float(interval.low), float(interval.high)), 1),
        next_steps=(
            "Look at these images and their labels before changing a model: what none of them "
            "gets right is often mislabelled, cut off, or of two classes."
        ),
        mistakes=len(everywhere),
        images=tuple(everywhere),
    )


def _comparable(examinations: Sequence[Examined]) -> None:
    if len(examinations) < 2:
        raise AttnlibError("What is hard for every model takes two models or more.")
    first = examinations[0]
    for other in examinations[1:]:
        if other.names != first.names or not np.array_equal(other.labels, first.labels):
            raise AttnlibError(
                "The models were examined on different images or labels; give all of them the "
                "same, and labels by class names that all have in the same order."
            )
    if not first.classifies or not first.labelled.any():
        raise AttnlibError("Mistakes are counted on images with labels, of models with classes.")
