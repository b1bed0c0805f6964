"""What the heads of a model do, alone and compared with each other."""

from attnlib.heads.flags import Flags, flag
from attnlib.heads.formation import Formation
from attnlib.heads.pattern import Pattern, pattern
from attnlib.heads.similarity import (
    MEASURES,
    Similarity,
    accumulate,
    cluster_order,
    diversity,
    euclidean,
)
from attnlib.heads.statistics import HeadStatistics, head_statistics, mean_statistics

__all__ = [
    "MEASURES",
    "Flags",
    "Formation",
    "HeadStatistics",
    "Pattern",
    "Similarity",
    "accumulate",
    "cluster_order",
    "diversity",
    "euclidean",
    "flag",
    "head_statistics",
    "mean_statistics",
    "pattern",
]
