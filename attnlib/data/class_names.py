"""Names of classes, found again in what people write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from attnlib.data import numbering, wordnet
from attnlib.data.text import counted, loose
from attnlib.errors import LabelError


def resolve_class(
    text: str, class_names: Sequence[str], aliases: Mapping[str, int] | None = None
) -> int | None:
    """The index of the class that ``text`` means, or None if it means none or several.

    Tried in order: the exact name; an alias; an index in digits; the name in any case, spaces,
    underscores and hyphens apart; one of its synonyms between commas, or its WordNet id. A text
    that is the name of one class and a synonym of another means both.
    """
    classes = Classes(class_names, aliases)
    found = classes.meanings(text)
    if not found and (index := numbering.number(text)) is not None and index < len(class_names):
        return index
    return next(iter(found)) if len(found) == 1 else None


def check_class_count(names: Sequence[str], num_classes: int) -> None:
    """Raise LabelError unless there is one name for each of the model's ``num_classes``."""
    if len(names) != num_classes:
        raise LabelError(
            f"The list has {counted(len(names), 'class name')}, "
            f"but the model has {counted(num_classes, 'class', 'classes')}."
        )


class Classes:
    """Class names indexed once, for many texts.

    Args:
        names: one per class.
        aliases: further texts and the class that each means.
    """

    def __init__(self, names: Sequence[str], aliases: Mapping[str, int] | None = None) -> None:
        self.names = tuple(name.strip() for name in names)
        self._aliases = {text.strip(): index for text, index in (aliases or {}).items()}
        # Each from a spelling to the classes that are written so.
        self._exact: dict[str, set[int]] = defaultdict(set)
        self._synonyms: dict[str, set[int]] = defaultdict(set)
        self._loose: dict[str, set[int]] = defaultdict(set)
        self._loose_synonyms: dict[str, set[int]] = defaultdict(set)
        more = wordnet.synonyms(self.names)
        for index, name in enumerate(self.names):
            self._exact[name].add(index)
            self._loose[loose(name)].add(index)
            for synonym in (*name.split(","), *more[index]):
                self._synonyms[synonym.strip()].add(index)
                self._loose_synonyms[loose(synonym)].add(index)

    def meanings(self, text: str, at_hand: Collection[str] = ()) -> frozenset[int]:
        """The classes that a text can mean; none, one, or several where it is ambiguous.

        Numbers mean nothing here unless a class is called so: see
        :mod:`attnlib.data.numbering`.

        Args:
            at_hand: all the texts that were written. Where the whole names of other classes are
                among them ("maillot, tank suit"), a text ("maillot") is taken as a whole name too.
        """
        text = text.strip()
        found = self._written(text, at_hand)
        # What somebody said a text means decides where it is no name, or that of several classes.
        if len(found) != 1 and text in self._aliases:
            return frozenset({self._aliases[text]})
        if not found:
            return self._alike(text)
        return found

    def said(self, text: str, at_hand: Collection[str] = ()) -> bool:
        """Whether a text means its class by an alias alone."""
        text = text.strip()
        return text in self._aliases and len(self._written(text, at_hand)) != 1

    def _written(self, text: str, at_hand: Collection[str]) -> frozenset[int]:
        """The classes whose exact name it is."""
        if text in self._exact:
            exact, others = self._exact[text], self._synonyms[text] - self._exact[text]
            told_apart = all(self.names[other] in at_hand for other in others)
            return frozenset(exact if told_apart else exact | others)
        return frozenset()

    def _alike(self, text: str) -> frozenset[int]:
        """The classes with that name, or synonym, in another case or with other spaces."""
        spelled = loose(text)
        if not spelled or numbering.number(text) is not None:
            return frozenset()
        return frozenset(self._loose.get(spelled) or self._loose_synonyms.get(spelled, set()))
