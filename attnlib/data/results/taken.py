"""From a table with decided columns to results; what does not fit together is said or refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnlib.data import numbering
from attnlib.data.results.cells import path, text, texts
from attnlib.data.results.flat import BETWEEN
from attnlib.data.results.raw import Raw
from attnlib.data.results.recognised import Recognised
from attnlib.data.results.roles import MEANING, Role
from attnlib.data.results.shares import checked
from attnlib.data.results.table import Results, empty, likeliest
from attnlib.data.text import counted
from attnlib.errors import LabelError

ISSUE: Final = "label issue"
_YES: Final = {"1", "true", "yes", "1.0"}


def take(
    raw: Raw, found: Recognised, class_names: Sequence[str] = (), *, softmax: bool = False
) -> Results:
    """The results.

    Args:
        found: with nothing left to ask.
        class_names: of the model at hand: what numbers mean where the file does not say it.
        softmax: whether the probabilities are logits.

    Raises:
        LabelError: a column is still asked for, nothing is said of any image, or a column does not
            hold what it should.
    """
    if found.asked:
        raise LabelError(" ".join(dict.fromkeys(found.asked.values())) + " Choose one.")
    if set(found.chosen) <= {"name"}:
        raise LabelError(
            "No column says anything of the images: choose one for the predicted class, the label, "
            "the probabilities, tags or an embedding."
        )
    names = raw.classes or tuple(class_names)
    problems = list(raw.notes)
    table = empty(len(raw.frame))
    for role in ("label", "predicted", "corrected"):
        if role in found.chosen:
            table[role] = _classes(_column(raw, found, role), names, role, problems)
    if "name" in found.chosen:
        table["name"] = [path(cell) for cell in _column(raw, found, "name").tolist()]
    if "note" in found.chosen:
        table["note"] = texts(_column(raw, found, "note"))
    numeric: tuple[Role, ...] = ("confidence", "quality")
    for number in numeric:
        if number in found.chosen:
            table[number] = _shares(_column(raw, found, number), number)
    table["tags"] = _tags(raw, found)
    probabilities, classes = _probabilities(raw, found, names, softmax)
    _top(raw, found, table, names, problems)
    if probabilities is not None:
        _agree(table, probabilities, classes, problems)
    embeddings = _matrix(raw, found, "embedding") if "embedding" in found.chosen else None
    if embeddings is not None and not np.isfinite(embeddings).all():
        raise LabelError("The embeddings have values that are not finite: leave them out.")
    made = Results(table, classes, probabilities, embeddings, tuple(problems))
    return _unique(made) if "name" in found.chosen else made


def _column(raw: Raw, found: Recognised, role: Role) -> pd.Series:
    return raw.frame[found.chosen[role].columns[0]]


def _classes(cells: pd.Series, names: Sequence[str], role: Role, problems: list[str]) -> list[str]:
    """Class texts; numbers that are no class's name are indices from 0."""
    said = texts(cells)
    numbers = {one for one in set(said) if numbering.number(one) is not None} - set(names)
    known = {
        one: names[place]
        for one in numbers
        if (place := numbering.number(one)) is not None and place < len(names)
    }
    if known:
        first = min(known, key=lambda one: numbering.number(one) or 0)
        problems.append(
            f"Numbers as {MEANING[role].split(':')[0]} are read as indices of classes from 0: "
            f"{first} is {known[first]}."
        )
    return [known.get(one, one) for one in said] if known else said


def _shares(cells: pd.Series, role: Role) -> NDArray[np.float64]:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    if any(text(cell) for cell in cells[np.isnan(values)]):
        raise LabelError(f"The column for {MEANING[role]} holds something else than numbers.")
    if np.nanmin(values, initial=0) < 0 or np.nanmax(values, initial=0) > 1 + 1e-3:
        raise LabelError(
            f"The numbers in the column for {MEANING[role]} reach from {np.nanmin(values):.4g} to "
            f"{np.nanmax(values):.4g}: divide percents by 100, or leave the column out."
        )
    return np.asarray(np.clip(values, 0, 1), np.float64)


def _tags(raw: Raw, found: Recognised) -> pd.Series:
    rows: list[tuple[str, ...]] = [()] * len(raw.frame)
    if "tags" in found.chosen:
        rows = [_split(cell) for cell in _column(raw, found, "tags")]
    if "issue" in found.chosen:
        said = _column(raw, found, "issue").map(lambda cell: text(cell).casefold() in _YES)
        rows = [(*tags, ISSUE) if yes else tags for tags, yes in zip(rows, said, strict=True)]
    return pd.Series(rows, dtype=object)


def _split(cell: Any) -> tuple[str, ...]:
    """The tags in a cell: a list, or a text with bars, semicolons or commas between them."""
    if isinstance(cell, list | tuple | np.ndarray):
        parts = [text(one) for one in cell]
    else:
        said = text(cell)
        between = BETWEEN.strip() if BETWEEN.strip() in said else "[;,]"
        parts = re.split(re.escape(between) if between == "|" else between, said)
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _matrix(raw: Raw, found: Recognised, role: Role) -> NDArray[np.float32]:
    """``(B, K)`` of a column of vectors, or of a column for each number."""
    columns = found.chosen[role].columns
    try:
        if len(columns) > 1:
            numbers = [pd.to_numeric(raw.frame[column]).to_numpy(np.float32) for column in columns]
            return np.stack(numbers, axis=1)
        cells = raw.frame[columns[0]]
        lengths = {len(cell) for cell in cells if cell is not None}
        if len(lengths) != 1 or cells.isna().any():
            raise LabelError(
                f"“{columns[0]}” should have as many numbers in each row, and has rows of "
                f"{', '.join(map(str, sorted(lengths)[:5]))}"
                + (" and empty ones." if cells.isna().any() else ".")
            )
        return np.stack([np.asarray(cell, np.float32) for cell in cells])
    except (ValueError, TypeError) as error:
        raise LabelError(f"{MEANING[role].capitalize()} should be numbers: {error}.") from error


def _probabilities(
    raw: Raw, found: Recognised, names: Sequence[str], softmax: bool
) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
    if "probabilities" not in found.chosen:
        return None, ()
    option, values = found.chosen["probabilities"], _matrix(raw, found, "probabilities")
    classes, count = option.classes, values.shape[1]
    if classes and set(classes) <= set(names):
        return checked(values, softmax), classes
    if classes and not all(numbering.number(one) is not None for one in classes):
        return checked(values, softmax), classes
    if classes:
        order = [numbering.number(one) for one in classes]
        if sorted(order, key=lambda n: n or 0) != list(range(count)):
            raise LabelError(
                f"The classes of the probabilities are numbers from {classes[0]} to {classes[-1]}, "
                f"and should be 0 to {count - 1}: name the columns by class."
            )
        values = values[:, np.argsort(np.asarray(order, np.intp))]
    if len(names) != count:
        raise LabelError(
            f"Each row has {counted(count, 'probability', 'probabilities')}, and "
            f"{counted(len(names), 'class is', 'classes are')} known: nothing says which is which. "
            "Name the columns by class, or add class_names to the file."
        )
    return checked(values, softmax), tuple(names)


def _top(
    raw: Raw, found: Recognised, table: pd.DataFrame, names: Sequence[str], problems: list[str]
) -> None:
    """The likeliest classes, where they are given; the first is the predicted one."""
    if "top_classes" not in found.chosen:
        return
    rows = _lists(raw, found, "top_classes", text)
    flat = pd.Series([one for row in rows for one in row], dtype=object)
    known = iter(_classes(flat, names, "top_classes", problems))
    table["top_classes"] = pd.Series([tuple(next(known) for _ in row) for row in rows])
    if "predicted" not in found.chosen:
        table["predicted"] = table["top_classes"].map(lambda row: row[0] if row else "")
    if "top_probabilities" not in found.chosen:
        return
    shares = _lists(raw, found, "top_probabilities", float)
    if any(len(a) != len(b) for a, b in zip(rows, shares, strict=True)):
        raise LabelError("The likeliest classes and their probabilities differ in number.")
    table["top_probabilities"] = pd.Series(shares, dtype=object)
    first = pd.Series([row[0] if row else np.nan for row in shares], dtype=float)
    _shares(first, "confidence")
    if "confidence" not in found.chosen:
        table["confidence"] = first


def _lists(
    raw: Raw, found: Recognised, role: Role, make: Callable[[Any], Any]
) -> list[tuple[Any, ...]]:
    columns = found.chosen[role].columns
    if len(columns) == 1:
        cells = raw.frame[columns[0]]
        rows = [[] if cell is None else list(cell) for cell in cells]
    else:
        rows = raw.frame[list(columns)].to_numpy(object).tolist()
    try:
        return [tuple(make(one) for one in row if text(one)) for row in rows]
    except (ValueError, TypeError) as error:
        raise LabelError(f"{MEANING[role].capitalize()} cannot be read: {error}.") from error


def _agree(
    table: pd.DataFrame,
    probabilities: NDArray[np.float32],
    classes: tuple[str, ...],
    problems: list[str],
) -> None:
    """Fill in what follows from the probabilities, and say where other columns contradict them."""
    best, index = probabilities.max(axis=1), {name: i for i, name in enumerate(classes)}
    winners = [classes[place] for place in probabilities.argmax(axis=1)]
    said = table["predicted"].tolist()
    rows = np.arange(len(table))
    places = np.array([index.get(one, -1) for one in said], np.intp)
    given = np.array([bool(one) for one in said])
    other = given & ((places < 0) | (probabilities[rows, places] < best - 1e-3))
    if other.any():
        place = int(np.flatnonzero(other)[0])
        problems.append(
            f"In {int(other.sum()):,} of {int(given.sum()):,} rows the largest probability is not "
            f"that of the predicted class (the first: {winners[place]}, and predicted is "
            f"{said[place]}). The columns may belong to other classes than their names say."
        )
    table["predicted"] = [one or winner for one, winner in zip(said, winners, strict=True)]
    shown = np.where(given & (places >= 0), probabilities[rows, places], best).astype(np.float64)
    known = table["confidence"].to_numpy(np.float64)
    apart = np.isfinite(known) & (np.abs(known - shown) > 0.01) & ~other
    if apart.any():
        problems.append(
            f"In {int(apart.sum()):,} rows the confidence is not the probability of the predicted "
            "class."
        )
    table["confidence"] = np.where(np.isnan(known), shown, known)
    if not table["top_classes"].map(bool).any():
        names, shares = likeliest(probabilities, classes)
        table["top_classes"] = pd.Series(names, dtype=object)
        table["top_probabilities"] = pd.Series(shares, dtype=object)


def _unique(made: Results) -> Results:
    """One row for each image: of rows that differ under one name none is used."""
    names = made.table["name"]
    problems = list(made.problems)
    bare = names == ""
    if bare.any():
        problems.append(f"{counted(int(bare.sum()), 'row names', 'rows name')} no image.")
    same = made.table.duplicated(keep="first")
    differ = names.duplicated(keep=False) & ~bare
    differ &= names.isin(names[~same & names.duplicated(keep="first")])
    if differ.any():
        problems.append(
            f"{counted(int(names[differ].nunique()), 'image stands', 'images stand')} in several "
            f"rows that differ, {names[differ].iloc[0]} for one: none of these rows is used."
        )
    keep = np.flatnonzero(~(bare | same | differ).to_numpy())
    if not len(keep):
        raise LabelError(f"No row can be used. {problems[-1]}")
    kept = made.rows(keep)
    return Results(kept.table, kept.classes, kept.probabilities, kept.embeddings, tuple(problems))
