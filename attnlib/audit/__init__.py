"""Many predictions: one table, its numbers, one report.

>>> table = audit.predictions(found, vit.class_names)  # a pandas data frame
>>> audit.summarise(table).accuracy
"""

from attnlib.audit.likeness import Likeness
from attnlib.audit.numbers import Summary, confused_classes, confusion, summarise, wilson
from attnlib.audit.order import SortKey, nearest, of_classes, order, select
from attnlib.audit.per_label import LABEL_HEADINGS, average_precision, per_label
from attnlib.audit.prediction import Outcome, Prediction
from attnlib.audit.table import HEADINGS, SAID_HEADINGS, predictions, to_csv
from attnlib.audit.versus import (
    CATEGORIES,
    Category,
    Versus,
    confusion_difference,
    shared_classes,
    versus,
)

__all__ = [
    "CATEGORIES",
    "HEADINGS",
    "LABEL_HEADINGS",
    "SAID_HEADINGS",
    "Category",
    "Likeness",
    "Outcome",
    "Prediction",
    "SortKey",
    "Summary",
    "Versus",
    "average_precision",
    "confused_classes",
    "confusion",
    "confusion_difference",
    "nearest",
    "of_classes",
    "order",
    "per_label",
    "predictions",
    "select",
    "shared_classes",
    "summarise",
    "to_csv",
    "versus",
    "wilson",
]
