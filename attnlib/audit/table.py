"""Many predictions as one data frame, and any table as CSV."""

from collections.abc import Collection, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from attnlib.audit.prediction import Outcome, Prediction

# Headings for people, by column of `predictions`.
HEADINGS = {
    "image": "image",
    "true_class": "true class",
    "predicted_class": "predicted class",
    "outcome": "outcome",
    "confidence": "confidence (0 to 1)",
    "margin": "margin (0 to 1)",
    "loss": "loss (nats)",
    "lead": "lead over the true class (0 to 1)",
    "probability_true": "probability of the true class (0 to 1)",
    "entropy": "attention entropy (log N)",
    "true": "true index",
    "predicted": "predicted index",
}
# What people said of the images, where a table has it.
SAID_HEADINGS = {
    "tags": "tags",
    "should_be": "should be",
    "note": "note",
}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def predictions(found: Sequence[Prediction], class_names: Sequence[str]) -> pd.DataFrame:
    """The predictions as one table, a row for each, in the order given.

    Independent labels are joined by " | ", and nothing predicted is ""; their ``true`` and
    ``predicted`` are the pair of labels that a page sets side by side, see `Prediction`. For them
    there are two more columns, ``true_set`` (None without a label) and ``predicted_set``, of
    frozensets of indices.

    ========================  ========  ==================================================
    column                    dtype     meaning
    ========================  ========  ==================================================
    image                     str       file name
    true_class                str       name of the true class; missing without a label
    predicted_class           str       name of the predicted class; "" without classes
    outcome                   category  ordered: wrong < unlabelled < right
    confidence                float64   probability of the predicted class, 0 to 1; NaN
                                        without classes
    margin                    float64   largest minus second largest probability, 0 to 1
    loss                      float64   -log p(true class) in nats; NaN without a label
    lead                      float64   probability of the predicted class minus that of the true
                                        one, 0 where it is right; NaN without a label
    probability_true          float64   probability of the true class; NaN without a label. Of
                                        independent labels, of the one set beside `predicted`
    entropy                   float64   mean entropy of the readout's rows, in units of log N
    true                      Int64     index of the true class; missing without a label
    predicted                 int64     index of the predicted class
    ========================  ========  ==================================================

    Args:
        found: what the model said; see `Prediction`.
        class_names: by index, at least as many as there are probabilities.

    Raises:
        ValueError: there are fewer names than classes.
    """
    classes = max((p.probabilities.size for p in found), default=0)
    if classes > len(class_names):
        raise ValueError(f"{classes} classes have {len(class_names)} names")
    loss = [np.nan if p.loss is None else p.loss for p in found]

    def named(classes: Collection[int]) -> str:
        return " | ".join(class_names[index] for index in sorted(classes))

    true = [None if p.true is None else named(p.true) for p in found]
    table = pd.DataFrame(
        {
            "image": pd.Series([p.name for p in found], dtype="str"),
            "true_class": pd.Series(true, dtype="str"),
            "predicted_class": pd.Series([named(p.said) for p in found], dtype="str"),
            "outcome": pd.Categorical([p.outcome for p in found], get_args(Outcome), ordered=True),
            "confidence": np.array([p.confidence for p in found], dtype=np.float64),
            "margin": np.array([p.margin for p in found], dtype=np.float64),
            "loss": np.array(loss, dtype=np.float64),
            "lead": np.array([p.lead for p in found], dtype=np.float64),
            "probability_true": np.array([p.probability_true for p in found], dtype=np.float64),
            "entropy": np.array([p.attention_entropy for p in found], dtype=np.float64),
            "true": pd.Series([p.label for p in found], dtype="Int64"),
            "predicted": np.array([p.predicted for p in found], dtype=np.int64),
        }
    )
    if any(p.kind == "labels" for p in found):
        table["true_set"] = pd.Series([p.true for p in found], dtype=object)
        table["predicted_set"] = pd.Series([p.said for p in found], dtype=object)
    return table


def to_csv(table: pd.DataFrame | Sequence[dict[str, object]]) -> str:
    """A table as CSV (RFC 4180) with a header, empty cells for what is missing; "" without rows.

    Spreadsheets run a cell that begins with = + - @ (also in their full-width forms), or behind a
    tab or line break, as a formula, and file and class names come from strangers:
    such texts get a leading apostrophe, which makes them plain text. Numbers are left alone.
    """
    # As objects, whole numbers stay whole beside what is missing.
    cells = pd.DataFrame(table, dtype=object)
    if cells.empty:
        return ""
    plain = {_plain(n): pd.Series(map(_plain, cells[n]), dtype=object) for n in cells}
    return str(pd.DataFrame(plain).to_csv(index=False, lineterminator="\r\n", na_rep=""))


def _plain(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # A file name that is no valid Unicode could not be written out at all.
    text = cell.encode("utf-8", "replace").decode("utf-8")
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
