"""Labels given to loaded samples: by a table's rows, else by the folders they lie in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attnlib.data import numbering
from attnlib.data.class_names import Classes
from attnlib.data.collection import Sample
from attnlib.data.files import match_rows
from attnlib.data.numbering import Rule
from attnlib.data.several import parts

if TYPE_CHECKING:
    from attnlib.data.labels import LabelTable


@dataclass(frozen=True)
class LabelMatch:
    """The labels of loaded samples.

    Attributes:
        labels: sample name -> class index, of the samples with exactly one label.
        unknown_files: table rows whose file is not loaded.
        unknown_names: label text that is no class, to how many samples carry it; where one label
            is wanted, also several in one ("cat | dog").
        unlabelled: every sample without labels, in order.
        ambiguous_files: rows that fit several samples, or that give one sample different labels;
            none of them is used.
        sets: sample name -> class indices of all its labels, maybe none of them.
        ambiguous_names: label text that is the name of several classes -> their indices. None
            of their samples is labelled.
        rule: by which labels that are numbers were read; None where there are none.
        rules: the rules that would give these samples different labels; one where all agree.
        said: label text that means its class by an alias -> how many samples carry it.
        strange: sample name -> its label text that is no class, or several.
    """

    labels: dict[str, int]
    unknown_files: tuple[str, ...]
    unknown_names: dict[str, int]
    unlabelled: tuple[str, ...]
    ambiguous_files: tuple[str, ...]
    sets: dict[str, frozenset[int]] = field(default_factory=dict)
    ambiguous_names: dict[str, tuple[int, ...]] = field(default_factory=dict)
    rule: Rule | None = None
    rules: tuple[Rule, ...] = ()
    said: dict[str, int] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)


def match_labels(
    samples: Iterable[Sample],
    table: LabelTable | None,
    class_names: Sequence[str],
    aliases: Mapping[str, int] | None = None,
    *,
    several: bool = False,
    rule: Rule | None = None,
) -> LabelMatch:
    """Give each sample the class that its table row names, or else its folder.

    Which row means which sample: see :func:`attnlib.data.files.match_rows`; which class a text
    means: :class:`attnlib.data.class_names.Classes`. A label that is no class is counted in
    ``unknown_names``, one that is several in ``ambiguous_names``; the folder replaces neither.

    Args:
        class_names: one per class; ImageNet's are found by their WordNet ids too.
        aliases: further texts and the class that each means.
        several: whether a sample may have several labels: in one cell ("cat|dog"), in several
            columns or rows of the table, or as the same picture in several folders. A sample of
            which one label cannot be told has none: the others alone would be wrong.
        rule: what numbers mean (see :mod:`attnlib.data.numbering`); the likeliest if None.
    """
    samples = tuple(samples)
    rows = table.every if table else {}
    given, unknown_files, ambiguous_files = match_rows({s.name for s in samples}, rows)
    disputed = {name for names in ambiguous_files.values() for name in names}
    folders = _folders(samples, several)
    from_folder = {
        s.name: folders[s.name]
        for s in samples
        if s.name in folders and s.name not in given and s.name not in disputed
    }
    reader = _Reader(Classes(class_names, aliases), several)
    numbers = _Numbers(len(class_names), rule)
    numbers.add([t for texts in from_folder.values() for t in reader.split(texts)], folders=True)
    numbers.add([t for texts in given.values() for t in reader.split(texts)], folders=False)
    reader.number(numbers)

    labels: dict[str, int] = {}
    sets: dict[str, frozenset[int]] = {}
    strange: dict[str, str] = {}
    for sample in samples:
        texts, folder = given.get(sample.name), sample.name not in given
        if folder:
            texts = from_folder.get(sample.name)
        found = reader.read(texts, folder=folder)
        if found is None and texts:
            strange[sample.name] = " | ".join(texts)
        if found is not None:
            sets[sample.name] = found
            if len(found) == 1:
                labels[sample.name] = next(iter(found))
    return LabelMatch(
        labels,
        unknown_files,
        dict(reader.unknown),
        tuple(sample.name for sample in samples if sample.name not in sets),
        tuple(ambiguous_files),
        sets,
        reader.ambiguous,
        numbers.rule,
        numbers.rules,
        {text: count for text, count in reader.said.items() if count},
        strange,
    )


def _folders(samples: Sequence[Sample], several: bool) -> dict[str, tuple[str, ...]]:
    """Sample name -> its folder, or with ``several`` all folders in which this picture lies."""
    own: dict[str, tuple[str, ...]] = {s.name: (s.label,) for s in samples if s.label is not None}
    if not several:
        return own
    by_picture: dict[str, dict[str, None]] = defaultdict(dict)
    for sample in samples:
        if sample.label is not None and sample.sha256:
            by_picture[sample.sha256][sample.label] = None
    shared = {s.name: tuple(by_picture.get(s.sha256, ())) for s in samples if s.name in own}
    return {name: shared[name] or label for name, label in own.items()}


class _Numbers:
    """How the labels that are numbers are read: by one rule for folders, by one for tables."""

    def __init__(self, classes: int, asked: Rule | None) -> None:
        self._classes, self._asked = classes, asked
        self._reading: dict[bool, Mapping[str, int]] = {}
        self.rule: Rule | None = None
        self.rules: tuple[Rule, ...] = ()

    def add(self, texts: Sequence[str], *, folders: bool) -> None:
        wanted = {text for text in texts if numbering.number(text) is not None}
        if not wanted:
            return
        found = numbering.readings(wanted, self._classes, folders=folders)
        used = numbering.chosen(found, wanted, self._asked)
        self._reading[folders] = found[used]
        # Of the folders where both have numbers: of those the rule is in doubt more often.
        self.rule = self.rule or used
        self.rules = tuple(dict.fromkeys((*self.rules, *numbering.different(found))))

    def meaning(self, text: str, folder: bool) -> int | None:
        return self._reading.get(folder, {}).get(text)


class _Reader:
    """From the texts of one sample to its classes; keeps count of what could not be read."""

    def __init__(self, classes: Classes, several: bool) -> None:
        self._classes, self._several = classes, several
        self._at_hand: set[str] = set()
        self._numbers: _Numbers | None = None
        self.unknown: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.ambiguous: dict[str, tuple[int, ...]] = {}

    def split(self, texts: Sequence[str]) -> list[str]:
        """The single labels in some texts; of those that name no class, where all are known."""
        found = list(texts)
        if self._several:
            found = [part for text in texts for part in parts(text, self._known)]
        self._at_hand.update(found)
        return [text for text in found if not self._classes.meanings(text)]

    def number(self, numbers: _Numbers) -> None:
        self._numbers = numbers

    def read(self, texts: Sequence[str] | None, *, folder: bool) -> frozenset[int] | None:
        """The classes of one sample; None where there are none or one of them is not told."""
        if texts is None:
            return None
        if not self._several and len(texts) != 1:
            if texts:
                self.unknown[" | ".join(texts)] += 1
            return None
        single = (
            [part for text in texts for part in parts(text, self._known)]
            if self._several
            else texts
        )
        found = [self._one(text, folder) for text in single]
        return None if None in found else frozenset(index for index in found if index is not None)

    def _known(self, text: str) -> bool:
        return bool(self._classes.meanings(text)) or numbering.number(text) is not None

    def _one(self, text: str, folder: bool) -> int | None:
        meanings = self._classes.meanings(text, self._at_hand)
        if len(meanings) > 1:
            self.ambiguous[text] = tuple(sorted(meanings))
            return None
        if meanings:
            self.said[text] += self._classes.said(text, self._at_hand)
            return next(iter(meanings))
        number = self._numbers.meaning(text, folder) if self._numbers else None
        if number is None:
            self.unknown[text] += 1
        return number
