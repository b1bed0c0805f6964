"""Results of another evaluation beside a model's own: which rows belong together, and who differs.

The same weights on the same pixels say the same. Where an evaluation elsewhere says something else
than the model here, images were usually prepared otherwise, or classes stand in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnlib.audit.numbers import wilson
from attnlib.data import numbering
from attnlib.data.class_names import Classes
from attnlib.data.files import match_rows
from attnlib.data.results import Results
from attnlib.data.text import counted
from attnlib.errors import LabelError

# Above, every end of every path would be compared: only exact names are.
MOST_COMPARED = 200_000
# From which share on the classes are said to stand in another order.
_ORDERED = 0.7
COLUMNS = (
    "name", "label", "given", "theirs", "theirs_confidence", "ours", "ours_confidence", "agree",
)  # fmt: skip


@dataclass(frozen=True)
class Joined:
    """What both say, image by image.

    Attributes:
        table: of the matched images: ``name`` (as here), ``label`` (class name or "", ours
            before theirs), ``given`` (the label of theirs as a class name or ""),
            ``theirs``, ``ours`` (class names, as this model calls them where it knows the class),
            ``theirs_confidence``, ``ours_confidence`` (0 to 1 or NaN) and ``agree``; None in
            ``agree`` where one of them says nothing, or a class that this model does not have.
        places: of each row of the table, its row in the results.
        here: places of the rows among the images here.
        unknown: rows that name no image here.
        ambiguous: rows that fit several images; none is used.
        missing: how many images here have no row.
        strange: predicted text that is no class of this model -> in how many rows.
        label_agreement: of how many images that both label, how many have the same label.
        likeness: median cosine of both embeddings of an image; None where it cannot be told.
        exact: whether only exact names were compared.
    """

    table: pd.DataFrame
    places: NDArray[np.intp]
    here: NDArray[np.intp]
    unknown: tuple[str, ...]
    ambiguous: tuple[str, ...]
    missing: int
    strange: dict[str, int]
    label_agreement: tuple[int, int] = (0, 0)
    likeness: float | None = None
    exact: bool = False

    @property
    def compared(self) -> int:
        """How many images both name a class of."""
        return int(self.table["agree"].notna().sum())

    @property
    def agreeing(self) -> int:
        """Of how many of them they name the same."""
        return int((self.table["agree"] == True).sum())  # noqa: E712

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share that agrees, Wilson's 95 %."""
        return wilson(self.agreeing, self.compared)

    @cached_property
    def differing(self) -> pd.DataFrame:
        """The rows that differ, the surest of theirs first."""
        found = self.table[self.table["agree"] == False]  # noqa: E712
        return found.sort_values(
            ["theirs_confidence", "name"], ascending=[False, True], na_position="last"
        ).reset_index(drop=True)

    @property
    def apart(self) -> float | None:
        """The median difference of both confidences where they agree; None where not known."""
        same = self.table[self.table["agree"] == True]  # noqa: E712
        gaps = (same["theirs_confidence"] - same["ours_confidence"]).abs().dropna()
        return float(gaps.median()) if len(gaps) else None

    @property
    def reordered(self) -> tuple[str, str] | None:
        """A class of theirs and what this model calls nearly all of its images: another name.

        None unless most images would agree if each class of theirs was the commonest of ours.
        """
        rows = self.table[self.table["agree"].notna()]
        if rows.empty or self.agreeing * 2 >= len(rows):
            return None
        pairs = rows.groupby(["theirs", "ours"]).size()
        best = pairs.groupby(level=0).idxmax()
        would = int(pairs[list(best)].sum())
        moved = [(a, b) for a, b in best if a != b]
        distinct = len({b for _, b in best}) > 1
        if would < _ORDERED * len(rows) or not moved or not distinct:
            return None
        first = max(moved, key=lambda pair: int(pairs[pair]))
        return str(first[0]), str(first[1])

    def right(self, whose: str) -> tuple[int, int]:
        """How many are right, of how many that both can be judged on.

        Args:
            whose: ``"theirs"`` or ``"ours"``.
        """
        rows = self.table[self.table["agree"].notna() & (self.table["label"] != "")]
        return int((rows[whose] == rows["label"]).sum()), len(rows)

    @property
    def sentence(self) -> str:
        """What was found, and what it usually means."""
        if not self.compared:
            return "There is no image of which both name a class: nothing can be compared."
        low, high = self.interval
        said = (
            f"Both name the same class for {self.agreeing:,} of "
            f"{counted(self.compared, 'image')}: {self.agreeing / self.compared:.1%} "
            f"(95 %: {low:.1%} to {high:.1%})."
        )
        if self.agreeing == self.compared:
            return said
        moved = self.reordered
        if moved is not None:
            return (
                f"{said} Most images that your evaluation calls “{moved[0]}” are “{moved[1]}” "
                "here, and so on for other classes: the classes probably stand in another order."
            )
        return (
            f"{said} If it is the same model, they should agree on nearly all. What differs is "
            "usually how images are prepared: size, crop, mean and spread, order of colours."
        )


@dataclass(frozen=True)
class Here:
    """What the model at hand says of its images.

    Attributes:
        names: of the images.
        labels, predicted: class names, "" where there is none.
        confidence: ``(B,)`` 0 to 1, or NaN.
        class_names: of the model, by index.
        embeddings: ``(B, D)``; None where there are none.
    """

    names: Sequence[str]
    labels: Sequence[str]
    predicted: Sequence[str]
    confidence: NDArray[np.float64]
    class_names: tuple[str, ...]
    embeddings: NDArray[np.float32] | None = None


def in_order(results: Results, names: Sequence[str]) -> Results:
    """Results that name no image, by the images' names in order of their folders.

    That is how torchvision's ``ImageFolder`` and timm list a folder; only a person can know that
    an evaluation went by it.

    Raises:
        LabelError: there are not as many rows as images.
    """
    if len(results) != len(names):
        raise LabelError(
            f"The file names no images and has {counted(len(results), 'row')} for "
            f"{counted(len(names), 'image')}: which row is which cannot be told. Save the file "
            "names beside the numbers."
        )
    return results.called(sorted(names, key=lambda name: name.split("/")))


def join(here: Here, results: Results) -> Joined:
    """Set both side by side.

    Args:
        results: whose rows name images, in any of the ways that a table of labels may.

    Raises:
        LabelError: the rows name no images.
    """
    if not results.named:
        raise LabelError(
            "No column names the images: choose the one that does, or say in which order they are."
        )
    theirs = results.table["name"].tolist()
    place = {name: i for i, name in enumerate(theirs)}
    exact = len(here.names) + len(theirs) > MOST_COMPARED
    if exact:
        found = {name: place[name] for name in here.names if name in place}
        known = set(here.names)
        unknown = tuple(name for name in theirs if name not in known)
        ambiguous: tuple[str, ...] = ()
    else:
        found, unknown, disputed = match_rows(set(here.names), place)
        ambiguous = tuple(disputed)
    ours = [i for i, name in enumerate(here.names) if name in found]
    rows = np.array([found[here.names[i]] for i in ours], np.intp)
    table, strange, labels = _table(here, results, ours, rows)
    return Joined(
        table,
        rows,
        np.array(ours, np.intp),
        unknown,
        ambiguous,
        len(here.names) - len(ours),
        strange,
        labels,
        _likeness(here, results, ours, rows),
        exact,
    )


def _table(
    here: Here, results: Results, ours: list[int], rows: NDArray[np.intp]
) -> tuple[pd.DataFrame, dict[str, int], tuple[int, int]]:
    read = _Reader(here.class_names)
    # As lists: the cells of a column one by one take as long as all else.
    said = {c: results.table[c].iloc[rows].tolist() for c in ("predicted", "label")}
    theirs = read.names(said["predicted"])
    given = [name or "" for name in read.names(said["label"])]
    mine = [here.predicted[i] for i in ours]
    labels = [here.labels[i] for i in ours]
    both = [(a, b) for a, b in zip(labels, given, strict=True) if a and b]
    strange = Counter(
        text for text, name in zip(said["predicted"], theirs, strict=True) if text and name is None
    )
    agree = [None if not a or not b else a == b for a, b in zip(theirs, mine, strict=True)]
    table = pd.DataFrame(
        {
            "name": [here.names[i] for i in ours],
            "label": [a or b for a, b in zip(labels, given, strict=True)],
            "given": given,
            "theirs": [
                name if name is not None else text
                for text, name in zip(said["predicted"], theirs, strict=True)
            ],
            "theirs_confidence": results.table["confidence"].to_numpy(np.float64)[rows],
            "ours": mine,
            "ours_confidence": np.asarray(here.confidence, np.float64)[ours],
            "agree": pd.Series(agree, dtype=object),
        },
        columns=list(COLUMNS),
    )
    return table, dict(strange), (sum(a == b for a, b in both), len(both))


class _Reader:
    """Texts as class names of the model at hand, each worked out once."""

    def __init__(self, class_names: tuple[str, ...]) -> None:
        self._names, self._classes = class_names, Classes(class_names)
        self._known: dict[str, str | None] = {"": ""}

    def names(self, texts: list[str]) -> list[str | None]:
        """The class of each."""
        known = {text: self.name(text) for text in set(texts)}
        return [known[text] for text in texts]

    def name(self, text: str) -> str | None:
        """The class; "" for none, None where it is no class or several."""
        if text not in self._known:
            meanings = self._classes.meanings(text)
            index = next(iter(meanings)) if len(meanings) == 1 else None
            if not meanings:
                index = numbering.number(text)
            known = index is not None and index < len(self._names)
            self._known[text] = self._names[index] if known and index is not None else None
        return self._known[text]


def _likeness(
    here: Here, results: Results, ours: list[int], rows: NDArray[np.intp]
) -> float | None:
    one, other = here.embeddings, results.embeddings
    if one is None or other is None or one.shape[1] != other.shape[1] or not ours:
        return None
    a, b = one[ours].astype(np.float64), other[rows].astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    known = lengths > 0
    return float(np.median((a * b).sum(axis=1)[known] / lengths[known])) if known.any() else None
