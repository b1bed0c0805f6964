"""Many predictions: one table, its numbers, one report.

>>> table = audit.predictions(found, vit.class_names)  # a pandas data frame
>>> audit.summarise(table).accuracy
"""

from attnlib.audit.numbers import Summary, confused_classes, confusion, summarise, wilson
from attnlib.audit.order import SortKey, nearest, order, select
from attnlib.audit.prediction import Outcome, Prediction
from attnlib.audit.table import HEADINGS, predictions, to_csv

__all__ = [
    "HEADINGS",
    "Outcome",
    "Prediction",
    "SortKey",
    "Summary",
    "confused_classes",
    "confusion",
    "nearest",
    "order",
    "predictions",
    "select",
    "summarise",
    "to_csv",
    "wilson",
]
