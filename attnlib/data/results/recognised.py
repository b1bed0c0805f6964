"""What each column is taken for, and why: a proposal, in which nothing doubtful is guessed."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd

from attnlib.data.results import groups
from attnlib.data.results.raw import Raw
from attnlib.data.results.roles import NAMES, NUMBERS, ROLES, VECTORS, Role

# Rows by which a column is judged.
_LOOKED: Final = 1000


@dataclass(frozen=True)
class Option:
    """Columns that can play a role.

    Attributes:
        columns: one, or of a vector each of its numbers.
        why: the reason.
        classes: of columns for each class, the texts that name the classes.
    """

    columns: tuple[str, ...]
    why: str = ""
    classes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Its columns, in a few words."""
        if len(self.columns) == 1:
            return self.columns[0]
        return f"{self.columns[0]} … {self.columns[-1]} ({len(self.columns)} columns)"


@dataclass(frozen=True)
class Recognised:
    """The proposal.

    Attributes:
        options: of each role what could play it, first what is called so.
        chosen: what plays it.
        asked: roles that somebody has to decide, with the reason in a sentence.
    """

    options: Mapping[Role, tuple[Option, ...]]
    chosen: Mapping[Role, Option] = field(default_factory=dict)
    asked: Mapping[Role, str] = field(default_factory=dict)

    def choose(self, role: Role, option: Option | None) -> Recognised:
        """The same with a role decided; with None nothing plays it."""
        chosen = {key: one for key, one in self.chosen.items() if key != role}
        if option is not None:
            chosen[role] = option
        asked = {key: why for key, why in self.asked.items() if key != role}
        return replace(self, chosen=chosen, asked=asked)

    def named(self, role: Role, column: str) -> Option | None:
        """The option of a role that a column, or a title, names."""
        return next(
            (one for one in self.options.get(role, ()) if column in (one.title, *one.columns)), None
        )


def recognise(raw: Raw, class_names: Sequence[str] = (), names: Collection[str] = ()) -> Recognised:
    """Propose what each column is.

    Args:
        class_names: of the model at hand, by which columns of classes are known.
        names: of the images at hand: of several columns that could name the images, the one that
            names more of these is taken.
    """
    kinds = {str(column): _kind(raw.frame[column]) for column in raw.frame}
    options: dict[Role, list[Option]] = {role: [] for role in ROLES}
    chosen: dict[Role, Option] = {}
    asked: dict[Role, str] = {}
    used = _vectors(raw, class_names, kinds, options)
    for role in ROLES:
        sure = options[role] if role in VECTORS else _called(raw, role, kinds, used)
        if role == "name" and len(sure) > 1:
            sure = _by_matches(raw, sure, names)
        if len(sure) == 1:
            chosen[role] = sure[0]
        elif sure:
            listed = ", ".join(f"“{one.title}”" for one in sure[:4])
            asked[role] = f"Each of {listed} could be {_WHAT.get(role, 'it')}."
        if role not in VECTORS:
            known = {one.columns for one in sure}
            rest = [(c,) for c, kind in kinds.items() if _possible(role, kind) and c not in used]
            options[role] = [*sure, *(Option(one) for one in rest if one not in known)]
    _beside(kinds, chosen)
    _doubt(chosen, asked)
    return Recognised({r: tuple(o) for r, o in options.items()}, chosen, asked)


_WHAT: Final[Mapping[Role, str]] = {
    "name": "the name of the image",
    "label": "the label",
    "predicted": "the predicted class",
    "confidence": "the confidence",
    "probabilities": "the probabilities",
}


def _kind(column: pd.Series) -> str:
    """``"vector"``, ``"whole"``, ``"number"``, ``"yes/no"``, ``"text"`` or ``"empty"``."""
    cells = column.dropna().head(_LOOKED)
    if cells.empty:
        return "empty"
    if isinstance(cells.iloc[0], list | tuple | np.ndarray):
        return "vector"
    if cells.map(lambda cell: isinstance(cell, bool | np.bool_)).all():
        return "yes/no"
    if set(cells.map(lambda cell: str(cell).casefold())) <= {"true", "false"}:
        return "yes/no"
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.isna().any():
        return "text"
    return "whole" if bool((numbers % 1 == 0).all()) else "number"


def _possible(role: Role, kind: str) -> bool:
    if role in NUMBERS:
        return kind in ("number", "whole")
    if role == "issue":
        return kind in ("yes/no", "whole")
    if role == "tags":
        return kind in ("text", "vector", "whole")
    return kind in ("text", "whole", "yes/no") if role != "predicted" else kind in ("text", "whole")


def _vectors(
    raw: Raw,
    class_names: Sequence[str],
    kinds: Mapping[str, str],
    options: dict[Role, list[Option]],
) -> set[str]:
    """Fill in the options that are vectors; the columns that they take up."""
    numeric = [column for column, kind in kinds.items() if kind in ("number", "whole")]
    classes, shares = groups.places(
        [c for c, kind in kinds.items() if kind in ("text", "number", "whole")]
    )
    if classes:
        options["top_classes"].append(Option(classes, "columns that are numbered by place"))
    if shares:
        options["top_probabilities"].append(Option(shares, "columns that are numbered by place"))
    used = {*classes, *shares}
    numeric = [column for column in numeric if column not in used]
    vector = groups.vector(numeric)
    if vector:
        options["embedding"].append(Option(vector, "columns that are numbered"))
    used |= set(vector)
    numeric = [column for column in numeric if column not in used]
    texts = {*class_names, *raw.classes, *_said(raw, kinds)}
    for why, (columns, names) in groups.per_class(numeric, texts).items():
        options["probabilities"].append(Option(columns, why, names))
        used |= set(columns)
    for column, kind in kinds.items():
        if kind != "vector":
            continue
        for role in VECTORS:
            if any(groups.compact(column) in tier for tier in NAMES[role]):
                options[role].append(Option((column,), f"called “{column}”"))
    return used


def _said(raw: Raw, kinds: Mapping[str, str]) -> set[str]:
    """The texts in the columns that are called like labels or predictions."""
    found: set[str] = set()
    for column, kind in kinds.items():
        known = {n for role in ("label", "predicted") for tier in NAMES[role] for n in tier}
        if kind == "text" and groups.compact(column) in known:
            found |= set(raw.frame[column].dropna().unique().tolist())
    return found


def _called(raw: Raw, role: Role, kinds: Mapping[str, str], used: set[str]) -> list[Option]:
    """The columns that a role's first names call, and those that the format means by it."""
    hinted, why = raw.hints.get(role, ((), ""))
    found = [Option((column,), why) for column in hinted]
    for tier in NAMES[role]:
        for column, kind in kinds.items():
            fits = groups.compact(column) in tier and _possible(role, kind)
            if fits and column not in hinted and column not in used:
                found.append(Option((column,), f"called “{column}”"))
        if found:
            break
    return found


def _by_matches(raw: Raw, options: list[Option], names: Collection[str]) -> list[Option]:
    """The option that names most of the images at hand; all where two name as many."""
    if not names:
        return options
    known = {_stem(name) for name in names}
    counts = []
    for one in options:
        cells = raw.frame[one.columns[0]].dropna().head(_LOOKED)
        counts.append(int(cells.map(lambda cell: _stem(str(cell)) in known).sum()))
    best = max(counts)
    if best == 0 or counts.count(best) > 1:
        return options
    one = options[counts.index(best)]
    looked = min(len(raw.frame), _LOOKED)
    return [replace(one, why=f"{one.why}; {best:,} of {looked:,} rows name an image that is here")]


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path.replace("\\", "/")))[0].casefold()


def _beside(kinds: Mapping[str, str], chosen: dict[Role, Option]) -> None:
    """The confidence that a format writes beside the chosen prediction."""
    predicted = chosen.get("predicted")
    if predicted is None or "confidence" in chosen:
        return
    column = f"{predicted.columns[0]}.confidence"
    if column in kinds:
        chosen["confidence"] = Option((column,), f"stands beside “{predicted.title}”")


def _doubt(chosen: dict[Role, Option], asked: dict[Role, str]) -> None:
    """A label beside a confidence and no prediction: it may be the prediction itself."""
    said: tuple[Role, ...] = ("predicted", "probabilities", "top_classes")
    if "label" not in chosen or "confidence" not in chosen or any(r in chosen for r in said):
        return
    if any(role in asked for role in said):
        return
    title = chosen["label"].title
    why = (
        f"“{title}” stands beside “{chosen['confidence'].title}” and there is no other class: say "
        "whether it is the label that the image came with, or what was predicted."
    )
    del chosen["label"]
    asked["label"] = asked["predicted"] = why
