"""The numbers of a table of predictions: counts, accuracy with its interval, confusion."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

# The 97.5 % point of the normal distribution, for two-sided 95 % intervals.
_Z = 1.959963984540054


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


def summarise(table: pd.DataFrame) -> Summary:
    """Count, and average; see `Summary`.

    Args:
        table: as `predictions` makes it; any selection of its rows.
    """
    right = table.loc[table["outcome"] == "right", "confidence"]
    wrong = table.loc[table["outcome"] == "wrong", "confidence"]
    labelled = len(right) + len(wrong)
    return Summary(
        images=len(table),
        labelled=labelled,
        wrong=len(wrong),
        accuracy=len(right) / labelled if labelled else None,
        accuracy_interval=wilson(len(right), labelled) if labelled else None,
        confidence_right=math.fsum(right) / len(right) if len(right) else None,
        confidence_wrong=math.fsum(wrong) / len(wrong) if len(wrong) else None,
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


def confusion(table: pd.DataFrame) -> pd.DataFrame:
    """How often each true class was predicted as each class, for the pairs that occur.

    Returns:
        Columns ``true``, ``predicted`` (class indices) and ``images``, all int64, by true class
        and then by predicted class. A dense matrix of C classes would hold C² numbers: 3.8 GB
        for the 21,841 of ImageNet-21k.
    """
    labelled = table.loc[table["outcome"] != "unlabelled", ["true", "predicted"]].astype(np.int64)
    return labelled.groupby(["true", "predicted"]).size().rename("images").reset_index()


def confused_classes(pairs: pd.DataFrame, limit: int) -> list[int]:
    """The classes worth showing of a large confusion matrix, at most `limit`.

    First those with most errors, missed or wrongly claimed, then those with most images, then by
    index; a class that is neither true nor predicted anywhere is left out.

    Args:
        pairs: as `confusion` makes them.
    """
    sides = pd.concat(
        [
            pd.DataFrame(
                {
                    "class": pairs[side],
                    "images": pairs["images"],
                    "errors": pairs["images"].where(pairs["true"] != pairs["predicted"], 0),
                }
            )
            for side in ("true", "predicted")
        ]
    )
    involved = sides.groupby("class").sum().reset_index()
    ranked = involved.sort_values(["errors", "images", "class"], ascending=[False, False, True])
    return [int(index) for index in ranked["class"][: max(limit, 0)]]
