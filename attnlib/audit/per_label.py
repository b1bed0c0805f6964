"""Each class or label by itself: how often it is found, and how well its probability ranks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from attnlib.audit.prediction import Prediction

# Headings for people, by column of `per_label`.
LABEL_HEADINGS = {
    "label": "label",
    "images": "images that have it",
    "share": "share (chance AP)",
    "predicted": "predicted",
    "right": "of these right",
    "precision": "precision",
    "recall": "recall",
    "auc": "AUC",
    "average_precision": "average precision",
}


def per_label(found: Sequence[Prediction], class_names: Sequence[str]) -> pd.DataFrame:
    """A row for each label that is true or predicted somewhere, by index.

    =================  =======  ===========================================================
    column             dtype    meaning
    =================  =======  ===========================================================
    index              int64    of the label
    label              str      its name
    images             int64    labelled images that have it
    share              float64  of all labelled images; the average precision of chance
    predicted          int64    labelled images for which it is predicted
    right              int64    of these, those that have it
    precision, recall  float64  right / predicted, right / images; NaN of nothing
    auc                float64  area under the ROC curve; NaN where all or none have it
    average_precision  float64  see `average_precision`; NaN where none has it
    =================  =======  ===========================================================

    Images without a label count nowhere.
    """
    labelled = [p for p in found if p.true is not None and p.classifies]
    rows = []
    if labelled:
        scores = np.stack([p.probabilities for p in labelled])
        involved = sorted(set().union(*[p.said | (p.true or set()) for p in labelled]))
        for index in involved:
            has = np.array([index in (p.true or ()) for p in labelled])
            said = np.array([index in p.said for p in labelled])
            right = int((has & said).sum())
            rows.append(
                {
                    "index": index,
                    "label": class_names[index],
                    "images": int(has.sum()),
                    "share": float(has.mean()),
                    "predicted": int(said.sum()),
                    "right": right,
                    "precision": right / said.sum() if said.any() else np.nan,
                    "recall": right / has.sum() if has.any() else np.nan,
                    "auc": auc(has, scores[:, index]),
                    "average_precision": average_precision(has, scores[:, index]),
                }
            )
    return pd.DataFrame(rows, columns=["index", *LABEL_HEADINGS])


def auc(has: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    By ranks (Mann & Whitney, 1947). NaN unless there are positives and negatives.

    Args:
        has: `(n,)`, whether each image has the label.
        scores: `(n,)`, higher where the model is surer that it has.
    """
    positives = int(has.sum())
    negatives = len(has) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)[has].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(has: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Σ (recall_k - recall_k-1) · precision_k over the distinct scores, highest first.

    As scikit-learn defines it, without interpolation; its value by chance is the share of
    positives. NaN without positives.

    Args:
        has, scores: as of `auc`.
    """
    if not has.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(has[order])
    # Equal scores cannot be told apart: only the last of each counts.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(has) - 1)
    precision = hits[last] / (last + 1)
    recall = hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())
