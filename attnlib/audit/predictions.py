"""Many predictions to one table and its numbers.

A prediction without a label is neither right nor wrong: it counts as an image, and nowhere else.
Functions that choose or sort return positions in the given sequence, so that whatever else is
kept per image (thumbnails, embeddings) can be looked up by the same number.
"""

import csv
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

SortKey = Literal["confidence", "margin", "loss", "entropy"]
# In the order in which `order` puts them.
Outcome = Literal["wrong", "unlabelled", "right"]

# The 97.5 % point of the normal distribution, for two-sided 95 % intervals.
_Z = 1.959963984540054
_SMALLEST = float(np.finfo(np.float32).tiny)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model said about one image.

    Attributes:
        name: file name, unique in the collection.
        label: index of the true class, None when unknown.
        probabilities: `(C,)` float32 in [0, 1].
        attention_entropy: mean entropy of the readout rows, in units of log N, 0 to 1.

    Raises:
        ValueError: the probabilities are no vector in [0, 1], or the label is not below C.
    """

    name: str
    label: int | None
    probabilities: NDArray[np.float32]
    attention_entropy: float

    def __post_init__(self) -> None:
        p = self.probabilities
        if p.ndim != 1 or p.size == 0:
            raise ValueError(f"probabilities must be a vector (C,), not {p.shape}")
        # Softmax in float32 may exceed 1 by a rounding error. NaN fails this comparison too.
        if not ((p >= 0) & (p <= 1 + 1e-4)).all():
            raise ValueError("probabilities must be in [0, 1]")
        if self.label is not None and not 0 <= self.label < p.size:
            raise ValueError(f"label {self.label} is not one of {p.size} classes")

    @property
    def predicted(self) -> int:
        """The most probable class, the first of equals."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """The probability of the predicted class."""
        return float(self.probabilities.max())

    @property
    def margin(self) -> float:
        """The largest probability minus the second largest, which is 0 if there is one class."""
        if self.probabilities.size == 1:
            return self.confidence
        second, first = np.partition(self.probabilities, -2)[-2:]
        return float(first) - float(second)

    @property
    def outcome(self) -> Outcome:
        """Whether the label was predicted, if there is one."""
        if self.label is None:
            return "unlabelled"
        return "right" if self.label == self.predicted else "wrong"

    @property
    def wrong(self) -> bool:
        """The label is known and another class was predicted."""
        return self.outcome == "wrong"

    @property
    def loss(self) -> float | None:
        """-log(probability of the true class) in nats, at most 87.4; None without a label."""
        if self.label is None:
            return None
        return math.log(1 / min(1.0, max(float(self.probabilities[self.label]), _SMALLEST)))

    def top(self, k: int) -> list[tuple[int, float]]:
        """The k most probable classes (index, probability), by index among equals."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(k, 0)]
        return [(int(index), float(self.probabilities[index])) for index in order]


@dataclass(frozen=True)
class Summary:
    """The numbers of a collection; None where there is nothing to take them from.

    `accuracy` and its 95 % interval are shares of the labelled images, the two confidences
    mean probabilities of the predicted class over right and over wrong predictions.
    """

    images: int
    labelled: int
    wrong: int
    accuracy: float | None
    accuracy_interval: tuple[float, float] | None
    confidence_right: float | None
    confidence_wrong: float | None


def summarise(predictions: Sequence[Prediction]) -> Summary:
    """Count, and average; see `Summary`."""
    right = [p.confidence for p in predictions if p.outcome == "right"]
    wrong = [p.confidence for p in predictions if p.wrong]
    labelled = len(right) + len(wrong)
    return Summary(
        images=len(predictions),
        labelled=labelled,
        wrong=len(wrong),
        accuracy=len(right) / labelled if labelled else None,
        accuracy_interval=wilson(len(right), labelled) if labelled else None,
        confidence_right=math.fsum(right) / len(right) if right else None,
        confidence_wrong=math.fsum(wrong) / len(wrong) if wrong else None,
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, JASA 22, 1927).

    It holds the shares p with |successes/trials - p| <= z · sqrt(p(1 - p)/trials). Unlike the
    usual ± z · standard error it stays in [0, 1] and has a width when all or none succeed.

    Raises:
        ValueError: not 0 <= successes <= trials, or trials is 0.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a share")
    share, spread = successes / trials, _Z**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (share * (1 - share) + spread / 4)) / (1 + spread)
    # Rounding would put the upper end a hair beside 1; the lower end is exact.
    return centre - half, 1.0 if successes == trials else centre + half


def confusion(predictions: Sequence[Prediction], num_classes: int) -> NDArray[np.int64]:
    """How often each true class (rows) was predicted as each class (columns): `(C, C)`.

    Raises:
        ValueError: a class is not below `num_classes`.
    """
    pairs = [(p.label, p.predicted) for p in predictions if p.label is not None]
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    if any(max(pair) >= num_classes for pair in pairs):
        raise ValueError(f"a prediction has a class outside the {num_classes} given")
    for true, predicted in pairs:
        matrix[true, predicted] += 1
    return matrix


def confused_classes(matrix: NDArray[np.int64], limit: int) -> list[int]:
    """The classes worth showing of a large confusion matrix, at most `limit`.

    First those with most errors, missed or wrongly claimed, then those with most images; a
    class that is neither true nor predicted anywhere is left out.
    """
    correct = matrix.diagonal()
    involved = matrix.sum(axis=0) + matrix.sum(axis=1)
    errors = involved - 2 * correct
    ranked = np.lexsort((-involved, -errors))
    return [int(index) for index in ranked if involved[index] > 0][: max(limit, 0)]


def order(
    predictions: Sequence[Prediction], by: SortKey = "confidence", descending: bool = True
) -> list[int]:
    """Positions of all predictions: wrong ones, then unlabelled, then right ones.

    Each group is sorted by the key; equals keep the order given. Unlabelled predictions have
    no loss and keep it too.

    Raises:
        ValueError: the key is unknown.
    """
    if by not in get_args(SortKey):
        raise ValueError(f"unknown sort key {by!r}; known: {', '.join(get_args(SortKey))}")
    attribute = "attention_entropy" if by == "entropy" else by
    values = [getattr(p, attribute) or 0.0 for p in predictions]
    ranked = sorted(range(len(values)), key=values.__getitem__, reverse=descending)
    groups = [get_args(Outcome).index(p.outcome) for p in predictions]
    return sorted(ranked, key=groups.__getitem__)


def select(
    predictions: Sequence[Prediction],
    true: Collection[int] | None = None,
    predicted: Collection[int] | None = None,
    only: Outcome | Literal["all"] = "all",
) -> list[int]:
    """Positions of the predictions that meet every condition, in the order given.

    Args:
        true: the classes that the label may be; an unlabelled prediction has none. None: any.
        predicted: the classes that may have been predicted. None: any.
        only: keep one outcome.

    Raises:
        ValueError: `only` is unknown.
    """
    if only not in ("all", *get_args(Outcome)):
        raise ValueError(f"unknown outcome {only!r}; known: all, {', '.join(get_args(Outcome))}")
    return [
        position
        for position, p in enumerate(predictions)
        if only in ("all", p.outcome)
        and (true is None or p.label in true)
        and (predicted is None or p.predicted in predicted)
    ]


def nearest(
    embeddings: NDArray[np.floating], query: int, candidates: Sequence[int], k: int
) -> list[tuple[int, float]]:
    """The k candidates most like the query, as (position, cosine similarity), best first.

    The query itself is left out, equals come by position, and a zero vector is like nothing
    (similarity 0).

    Args:
        embeddings: `(n, D)`.
        query: row of the image that is compared.
        candidates: rows that it is compared with; repeated ones count once.
    """
    rows = sorted(set(candidates) - {query})
    if not rows or k < 1:
        return []
    vectors = embeddings[[query, *rows]].astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    similarities = np.clip(vectors[1:] @ vectors[0], -1.0, 1.0)
    best = np.argsort(-similarities, kind="stable")[:k]
    return [(rows[i], float(similarities[i])) for i in best]


def table(predictions: Sequence[Prediction], class_names: Sequence[str]) -> list[dict[str, object]]:
    """One row per prediction, by column name with its unit; None where there is no label."""
    return [
        {
            "image": p.name,
            "true class": None if p.label is None else class_names[p.label],
            "predicted class": class_names[p.predicted],
            "outcome": p.outcome,
            "confidence (0 to 1)": round(p.confidence, 6),
            "margin (0 to 1)": round(p.margin, 6),
            "loss (nats)": None if p.loss is None else round(p.loss, 6),
            "attention entropy (log N)": round(p.attention_entropy, 6),
        }
        for p in predictions
    ]


def to_csv(rows: Sequence[dict[str, object]]) -> str:
    """The rows as CSV (RFC 4180) with a header, empty cells for None; "" without rows.

    Spreadsheets run a cell that begins with = + - @ (also in their full-width forms), or behind a
    tab or line break, as a formula, and file and class names come from strangers:
    such texts get a leading apostrophe, which makes them plain text. Numbers are left alone.
    """
    if not rows:
        return ""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([_plain(name) for name in rows[0]])
    writer.writerows([_plain(row[name]) for name in rows[0]] for row in rows)
    return buffer.getvalue()


def _plain(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # A file name that is no valid Unicode could not be written out at all.
    text = cell.encode("utf-8", "replace").decode("utf-8")
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
