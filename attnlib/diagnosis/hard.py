"""Images that every model gets wrong: then the image or its label is the reason, not the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import ALPHA
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.errors import AttnlibError


def hard(examinations: Sequence[Examined]) -> Finding | None:
    """The images that all models get wrong, if they are more than separate errors would give.

    Args:
        examinations: of two or more models, on the same images with the same labels and classes.

    Raises:
        AttnlibError: there are fewer than two models, or their sets differ.
    """
    first = _comparable(examinations)
    labelled = first.labelled
    count = int(labelled.sum())
    wrong = np.stack([one.wrong for one in examinations])[:, labelled]
    everywhere = np.flatnonzero(labelled)[wrong.all(axis=0)]
    expected = float(wrong.mean(axis=1).prod())
    p_value = float(stats.binomtest(len(everywhere), count, expected, "greater").pvalue)
    if not len(everywhere) or p_value >= ALPHA:
        return None
    models = len(examinations)
    labels = first.labels[everywhere]
    given = np.mean([one.probabilities[everywhere, labels] for one in examinations], axis=0)
    order = everywhere[np.argsort(given, kind="stable")]
    same = np.stack([one.predicted[order] for one in examinations])
    agreed = order[(same == same[0]).all(axis=0)]
    interval = stats.binomtest(len(everywhere), count).proportion_ci()
    return Finding(
        kind="hard",
        scope="set",
        sentence=(
            f"{len(everywhere)} of {count} images are wrong with all {models} models; errors that "
            f"had nothing to do with each other would meet on {expected * count:.1f}."
        ),
        value=len(everywhere) / count,
        threshold=expected,
        threshold_source="the product of the models' shares of mistakes",
        evidence=(
            Evidence(
                f"On {len(agreed)} of them all models say the same wrong class: there the label "
                "is worth a look first.",
                first.named(agreed.tolist()),
            ),
        ),
        evidence_against=tuple(
            Evidence(
                f"{int(row.sum()) - len(everywhere)} of {int(row.sum())} mistakes of "
                f"{one.vit.name} are right with another model."
            )
            for one, row in zip(examinations, wrong, strict=True)
        ),
        certainty=Certainty(min(1.0, p_value), (float(interval.low), float(interval.high)), 1),
        next_steps=(
            "Look at these images and their labels before changing a model: what none of them "
            "gets right is often mislabelled, cut off, or of two classes."
        ),
        mistakes=len(everywhere),
        images=first.named(order.tolist()),
    )


def _comparable(examinations: Sequence[Examined]) -> Examined:
    """The first of them, if all are of the same images."""
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
    return first
