"""Results of some evaluation: what was said of each image, by its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Of a row, in order. Texts are "" where nothing is said, numbers NaN, lists empty.
TEXTS: Final = ("name", "label", "predicted", "corrected", "note")
NUMBERS: Final = ("confidence", "quality")
LISTS: Final = ("tags", "top_classes", "top_probabilities")
# As many of the likeliest classes are kept where all probabilities are known.
TOP: Final = 5


@dataclass(frozen=True, eq=False)
class Results:
    """A row for each image.

    Attributes:
        table: columns :data:`TEXTS` (str), :data:`NUMBERS` (float64) and :data:`LISTS` (tuples of
            texts, of ``top_probabilities`` of floats); ``name`` is unique, and "" in every row
            where the file names no image.
        classes: names of the columns of ``probabilities``.
        probabilities: ``(B, C)`` float32, each row sums to 1; None where there are none.
        embeddings: ``(B, D)`` float32; None where there are none.
        problems: what is not as it should be, as sentences.
    """

    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None
    embeddings: NDArray[np.float32] | None = None
    problems: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.table)

    @property
    def named(self) -> bool:
        """Whether the rows name their images."""
        return bool((self.table["name"] != "").all())

    def has(self, column: str) -> bool:
        """Whether any row says something in a column of the table."""
        values = self.table[column]
        return bool(values.notna().any() if column in NUMBERS else values.map(bool).any())

    def rows(self, places: NDArray[np.intp]) -> Results:
        """Some of the rows."""
        return Results(
            self.table.iloc[places].reset_index(drop=True),
            self.classes,
            None if self.probabilities is None else self.probabilities[places],
            None if self.embeddings is None else self.embeddings[places],
            self.problems,
        )

    def called(self, names: list[str]) -> Results:
        """The same rows under other names."""
        return Results(
            self.table.assign(name=pd.Series(names, dtype=object)),
            self.classes,
            self.probabilities,
            self.embeddings,
            self.problems,
        )


def empty(rows: int) -> pd.DataFrame:
    """A table in which nothing is said."""
    return pd.DataFrame(
        {
            **{column: pd.Series([""] * rows, dtype=object) for column in TEXTS},
            **{column: np.full(rows, np.nan) for column in NUMBERS},
            **{column: pd.Series([()] * rows, dtype=object) for column in LISTS},
        }
    )


def likeliest(
    probabilities: NDArray[np.float32], classes: tuple[str, ...], count: int = TOP
) -> tuple[list[tuple[str, ...]], list[tuple[float, ...]]]:
    """The likeliest classes of each row ``(B, C)`` and their probabilities, by index if equal."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    shares = np.take_along_axis(probabilities, order, axis=1)
    names = [tuple(classes[place] for place in row) for row in order.tolist()]
    return names, [tuple(row) for row in shares.astype(np.float64).tolist()]
