"""All filters of the gallery, in the order of their controls."""

from __future__ import annotations

from attnlib.dashboard.triage.filters.base import Filter
from attnlib.dashboard.triage.filters.classes import ByCell, ByClass
from attnlib.dashboard.triage.filters.finding import ByFinding
from attnlib.dashboard.triage.filters.judged import ByJudged
from attnlib.dashboard.triage.filters.lasso import ByLasso
from attnlib.dashboard.triage.filters.numbers import ByConfidence, ByNarrowMiss
from attnlib.dashboard.triage.filters.outcome import ByOutcome
from attnlib.dashboard.triage.filters.versus import ByVersus
from attnlib.dashboard.triage.filters.words import ByTag, ByText

OUTCOME: Filter = ByOutcome()
CELL = ByCell()
FINDING = ByFinding()
# Behind the button “Filter”.
MORE: tuple[Filter, ...] = (
    ByClass("true"),
    ByClass("predicted"),
    ByTag(),
    ByJudged(),
    ByText(),
    ByConfidence("from"),
    ByConfidence("to"),
    ByNarrowMiss(),
    ByVersus(),
)
FILTERS: tuple[Filter, ...] = (OUTCOME, *MORE, CELL, FINDING, ByLasso())
