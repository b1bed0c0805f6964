"""From predictions to cards of a board."""

from __future__ import annotations

from dataclasses import replace

from attnlib.dashboard.mistakes import standard
from attnlib.dashboard.mistakes.case import Case
from attnlib.dashboard.parts.board import Card
from attnlib.dashboard.parts.pictures import scale_of
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.triage import verdict


def full(space: Workspace, case: Case) -> Card:
    """Everything: crop, maps, references, the five most probable classes."""
    prediction = case.prediction
    outcome = space.outcomes.get(prediction.name)
    notes = [
        verdict.strange(space, prediction),
        space.by_name[prediction.name].note,
        *(outcome.notes if outcome else ()),
    ]
    remark = space.remark(prediction.name)
    follow = f"maps of {standard.word(standard.method(space.vit.support))} follow"
    waits = [follow] if case.waits else []
    return Card(
        prediction.name,
        [panel.figure(space) for panel in case.panels],
        [reference.pair(space) for reference in case.references],
        word=verdict.word(space, prediction),
        outcome=prediction.outcome,
        said=verdict.said(space, prediction),
        confidence=verdict.confidence(space, prediction),
        bars=verdict.bars(space, prediction),
        lines=[*filter(None, notes), *filter(None, [remark.note]), *waits],
        tags=verdict.tags(remark),
        problem=case.problem,
    )


def small(space: Workspace, case: Case) -> Card:
    """A thumbnail with the map of the predicted class, or whatever stands in for it."""
    prediction = case.prediction
    # Alone, a map has a scale of its own.
    panels = [
        replace(one, scale=None if one.heat is None else scale_of([one.heat]))
        for one in case.panels[1:2] or case.panels[:1]
    ]
    return Card(
        prediction.name,
        [panel.figure(space) for panel in panels],
        word=verdict.word(space, prediction),
        outcome=prediction.outcome,
        said=verdict.said(space, prediction),
        confidence=verdict.confidence(space, prediction),
        tags=verdict.tags(space.remark(prediction.name)),
    )


def maps_count(space: Workspace) -> str:
    """What the colours of cards count, after “from 0 to”."""
    method = standard.method(space.vit.support)
    if method.class_specific:
        word = standard.word(method)
        title = word[:1].upper() + word[1:]
        return (
            f"the largest value in a card. {title}: which patches speak for a class; its maps "
            "for the predicted and the true class share one scale."
        )
    return "the largest value in a map, in multiples of what each patch gets if all get the same."
