"""One kind of finding: what it looks for, what it needs, what it costs, and how it looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attnlib.diagnosis.examined import Examined
from attnlib.diagnosis.finding import Finding
from attnlib.methods.base import Progress

# How often one kind may announce something where there is nothing. The kinds are about ten, and a
# clean set should stay silent in 95 of 100 cases.
ALPHA = 0.005

Find = Callable[[Examined, Progress], list[Finding]]
Amend = Callable[[Examined, Sequence[Finding]], Examined]


def as_it_is(examined: Examined, found: Sequence[Finding]) -> Examined:
    """What was found changes nothing for what is looked for later."""
    return examined


@dataclass(frozen=True)
class Finder:
    """One kind of finding.

    Attributes:
        kind: one word, the finding's name in code and JSON.
        title: its name on screen.
        question: what it looks for, one sentence.
        find: the findings, most costly first; the usual answer is none. It calls its second
            argument with (steps done, steps) as it goes, and what that raises ends it.
        lacks: what is missing in a set for it, as half a sentence ("the images have no labels"),
            or "".
        passes: about how many forward passes it takes, from the set.
        amend: the set with what was found put right, or left out. Later finders start from it, so
            that one cause is not announced again as its own consequences.
    """

    kind: str
    title: str
    question: str
    find: Find
    lacks: Callable[[Examined], str]
    passes: Callable[[Examined], int]
    amend: Amend = as_it_is


def no_need(examined: Examined) -> str:
    """Nothing is missing."""
    return ""


def needs_mistakes(examined: Examined) -> str:
    """What is missing to speak of mistakes."""
    if not examined.classifies:
        return "the model does not tell classes apart of which one is right"
    return "" if examined.labelled.any() else "the images have no labels"
