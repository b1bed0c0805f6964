"""Results as one flat table, under names that other tools read."""

from __future__ import annotations

from typing import Final

import pandas as pd

from attnlib.data.results.table import LISTS, NUMBERS, TEXTS, Results

# In front of a class, and of a number of an embedding.
PROBABILITY: Final = "probability_"
EMBEDDING: Final = "embedding_"
BETWEEN: Final = " | "
HEADINGS: Final = {"name": "filename"}


def flat(results: Results, *, lists: bool, name: str = "filename") -> pd.DataFrame:
    """A column for each thing that is said of any image, and one for each class.

    Args:
        lists: whether cells may be lists; else tags are joined by " | ", each number of an
            embedding has a column, and the likeliest classes are left out where all are there.
        name: what the column of names is called.
    """
    columns: dict[str, object] = {name: results.table["name"]}
    for column in (*TEXTS[1:], *NUMBERS, *LISTS):
        if not results.has(column):
            continue
        values = results.table[column]
        if column in TEXTS:
            columns[column] = values.map(lambda text: text or None)
        elif column in NUMBERS:
            columns[column] = values
        elif lists:
            columns[column] = values.map(list)
        elif column == "tags":
            columns[column] = values.map(lambda tags: BETWEEN.join(tags) or None)
        elif results.probabilities is None:
            columns |= _numbered(results, column)
    if results.probabilities is not None:
        for place, text in enumerate(results.classes):
            columns[f"{PROBABILITY}{text}"] = results.probabilities[:, place]
    if results.embeddings is not None and lists:
        columns["embedding"] = list(results.embeddings)
    elif results.embeddings is not None:
        for place in range(results.embeddings.shape[1]):
            columns[f"{EMBEDDING}{place}"] = results.embeddings[:, place]
    return pd.DataFrame(columns)


def _numbered(results: Results, column: str) -> dict[str, object]:
    """``top1_class``, ``top1_probability``, …: a column for each place."""
    values = results.table[column]
    most = int(values.map(len).max())
    what = "class" if column == "top_classes" else "probability"

    def at(place: int) -> pd.Series:
        return values.map(lambda cell: cell[place] if place < len(cell) else None)

    return {f"top{place + 1}_{what}": at(place) for place in range(most)}
