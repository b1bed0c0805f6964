"""The decision that heads are removed from: between classes, or about one label."""

from __future__ import annotations

from attnlib.audit import Prediction
from attnlib.dashboard.state.workspace import Workspace
from attnlib.heads.decision import ABSENT, PRESENT, Decision


def of(prediction: Prediction) -> Decision:
    """Of independent labels, about the surest mistake; else about the most probable one."""
    if prediction.kind != "labels":
        return Decision(prediction.label)
    label = prediction.predicted
    if not prediction.extra and prediction.missed and prediction.label is not None:
        label = prediction.label
    true = None
    if prediction.true is not None:
        true = PRESENT if label in prediction.true else ABSENT
    return Decision(true, label, prediction.threshold)


def name(space: Workspace, decision: Decision, index: int) -> str:
    """One of the sides in words: a class, or a label with or without “no”."""
    if decision.label is None:
        return space.class_name(index)
    return ("" if index == PRESENT else "no ") + space.class_name(decision.label)
