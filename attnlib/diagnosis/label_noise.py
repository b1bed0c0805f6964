"""Label noise: more images of one class labelled as another than the model's doubts allow.

A model confuses classes, and its own probabilities say how often. Labels that are wrong come on top
of that. Neighbours in the model's embedding cannot tell: they share its errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnlib.diagnosis import chance, preprocessing
from attnlib.diagnosis.asking import ask
from attnlib.diagnosis.calibrated import calibrated
from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finder import Finder, needs_mistakes
from attnlib.diagnosis.finding import Certainty, Evidence, Finding
from attnlib.methods.base import Progress
from attnlib.model.vit import Vit

# Corrected for the pairs of classes: 2e-4 for each of the 90 of ten classes.
LEVEL = 0.02
# Where a model doubts most it is least to be trusted: of two classes that it takes for each other
# so many times as often as any other two, its doubts may be too small by as much, up to this.
UNSURE = 3.0
# Fewer images are looked at one by one anyway, and no rate can be told from them.
FEWEST = 3
# The share of a class that the test supposes to be labelled as the other.
SUPPOSED = 0.3
# An image is named from this probability of being mislabelled on.
NAMED = 0.05
# More pairs than that are no noise between classes.
MOST = 4

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Pair:
    """Images of one class labelled as another.

    Attributes:
        true, labelled: the classes.
        p_value: corrected.
        places: of the images labelled so, the likeliest mislabelled first.
        chances: of each of them.
        expected: how many mistakes of this kind the model's own probabilities allow.
        mistakes: how many there are.
    """

    true: int
    labelled: int
    p_value: float
    places: NDArray[np.int64]
    chances: Array
    expected: float
    mistakes: int


def find(examined: Examined, progress: Progress) -> list[Finding]:
    """The pairs of classes between which labels are wrong."""
    places = np.flatnonzero(examined.labelled)
    labels, probabilities = examined.labels[places].copy(), examined.probabilities[places]
    tried, rivals = _pairs_tried(labels), None
    found: list[Finding] = []
    while len(found) < MOST:
        pair = _strongest(calibrated(probabilities, labels), labels, tried)
        progress(len(found) + 1, MOST)
        if pair is None:
            break
        if not found:
            # What another preparation of the images explains is no wrong label.
            other = preprocessing.rival(examined, progress)
            rivals = None if other is None else _said_by(other, examined, places)
        if rivals is not None:
            shares = calibrated(rivals, labels)
            if _tested(shares, labels, pair.true, pair.labelled, tried).p_value >= LEVEL:
                break
        found.append(_finding(examined, replace(pair, places=places[pair.places]), tried))
        # With these put right, what is left is looked at anew.
        likely = pair.places[pair.chances > 0.5]
        if not len(likely):
            break
        labels[likely] = pair.true
    return found


def _said_by(vit: Vit, examined: Examined, places: NDArray[np.intp]) -> Array:
    """Probabilities ``(n, C)`` of images before the same model that prepares them otherwise."""
    return ask(vit, (examined.images[place] for place in places), len(places))


def _pairs_tried(labels: NDArray[np.int64]) -> int:
    classes = len(np.unique(labels))
    return max(1, classes * (classes - 1))


def _strongest(shares: Array, labels: NDArray[np.int64], tried: int) -> _Pair | None:
    """The pair with the smallest p below the level."""
    predicted = shares.argmax(axis=1)
    wrong = predicted != labels
    pairs, counts = np.unique(
        np.stack([predicted[wrong], labels[wrong]], axis=1), axis=0, return_counts=True
    )
    best: _Pair | None = None
    for (true, labelled), count in zip(pairs, counts, strict=True):
        if count < FEWEST:
            continue
        pair = _tested(shares, labels, int(true), int(labelled), tried)
        if pair.p_value < LEVEL and (best is None or pair.p_value < best.p_value):
            best = pair
    return best


def _tested(
    shares: Array, labels: NDArray[np.int64], true: int, labelled: int, tried: int
) -> _Pair:
    """Likelihood ratio of a share of mislabelled images against none, among the two labels."""
    either = np.flatnonzero((labels == true) | (labels == labelled))
    unsure = _unsure(shares, true, labelled)
    right, noisy = shares[either, true], unsure * shares[either, labelled]
    gains, loss = np.log1p(SUPPOSED * right / noisy), np.log1p(-SUPPOSED)
    so = labels[either] == labelled
    total = float(gains[so].sum() + loss * (~so).sum())
    p = chance.sum_at_least(total, gains, np.full(len(gains), loss), noisy / (noisy + right))
    rate = _rate(right, noisy, so)
    chances = rate * right[so] / (noisy[so] + rate * right[so])
    order = np.argsort(-chances, kind="stable")
    said = shares.argmax(axis=1) == true
    return _Pair(
        true,
        labelled,
        chance.corrected(p, tried),
        either[so][order],
        chances[order],
        unsure * float(shares[said, labelled].sum()),
        int((said & (labels == labelled)).sum()),
    )


def _unsure(shares: Array, true: int, labelled: int) -> float:
    """By how much the doubts of one class for the other may be too small: 1 to ``UNSURE``.

    Their share in all doubts of images of that prediction, against an equal share.
    """
    mean = shares[shares.argmax(axis=1) == true].mean(axis=0)
    doubts = float(mean.sum() - mean[true])
    return float(np.clip(mean[labelled] * (len(mean) - 1) / doubts, 1.0, UNSURE))


def _rate(right: Array, noisy: Array, so: NDArray[np.bool_]) -> float:
    """The likeliest share of the one class that is labelled as the other (a grid of 1 %)."""
    rates = np.arange(0.01, 0.96, 0.01)
    gained = np.log1p(rates[:, None] * (right / noisy)[so]).sum(axis=1)
    return float(rates[(gained + np.log1p(-rates) * (~so).sum()).argmax()])


def _finding(examined: Examined, pair: _Pair, tried: int) -> Finding:
    true, labelled = examined.class_name(pair.true), examined.class_name(pair.labelled)
    named = pair.places[pair.chances >= NAMED]
    likely = pair.places[pair.chances > 0.5]
    images = examined.named(named)
    many = f"{pair.mistakes} images labelled “{labelled}” are predicted “{true}”"
    kept = pair.mistakes - int((examined.predicted[likely] == pair.true).sum())
    return Finding(
        kind="label-noise",
        scope="set",
        sentence=(
            f"Some images labelled “{labelled}” are probably “{true}”: {many}, where the "
            f"model's own doubts allow {pair.expected:.1f}."
        ),
        value=float(pair.mistakes),
        threshold=pair.expected,
        threshold_source=(
            "what the model's own probabilities, fitted to these labels, allow, and up to "
            f"{UNSURE:g} times as much of classes that it often confuses; announced where "
            f"chance makes as much in fewer than {LEVEL:.1%} of sets"
        ),
        evidence=(
            Evidence(
                f"{many}; {pair.expected:.1f} are expected of this model. About "
                f"{pair.chances.sum():.0f} of {len(pair.chances)} images with this label would be "
                "mislabelled.",
                images,
            ),
        ),
        evidence_against=(
            Evidence(
                f"{max(kept, 0)} of the {pair.mistakes} are as likely the model's own mistakes. No "
                "single image is proved wrong: a person has to look."
            ),
        ),
        certainty=Certainty(p_value=pair.p_value, tried=tried),
        next_steps=(
            f"Look at the {len(named)} images in this order, the likeliest first, and correct "
            f"the label where it is “{true}”."
        ),
        mistakes=int(examined.wrong[likely].sum()),
        classes=(pair.true, pair.labelled),
        images=images,
        detail={"probability": dict(zip(images, map(float, pair.chances), strict=False))},
    )


LABEL_NOISE = Finder(
    kind="label-noise",
    title="Label noise",
    question="Are images of one class labelled as another?",
    find=find,
    lacks=needs_mistakes,
    passes=lambda examined: 0,
)
