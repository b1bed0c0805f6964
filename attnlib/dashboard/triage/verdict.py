"""What the model said about one image, in words and bars."""

from __future__ import annotations

from attnlib.audit import Prediction
from attnlib.dashboard.parts.board import Bar
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.remarks import Remark

TOP = 5


def word(space: Workspace, prediction: Prediction) -> str:
    """Right, wrong, or why neither."""
    if prediction.outcome != "unlabelled":
        return prediction.outcome
    if not prediction.classifies:
        return "no classes"
    return "label not known" if prediction.name in space.labels.strange else "no label"


def strange(space: Workspace, prediction: Prediction) -> str:
    """That the image has a label which is no class of the model; "" where that is not so."""
    text = space.labels.strange.get(prediction.name)
    if text is None or not prediction.classifies:
        return ""
    return f"Its label “{text}” is not known to this model."


def said(space: Workspace, prediction: Prediction) -> str:
    """“true → predicted”, in the names of the classes."""
    if not prediction.classifies:
        return prediction.name
    predicted = ", ".join(space.said(prediction)) or "nothing"
    true = space.true(prediction)
    if true is None or prediction.outcome == "right":
        return predicted
    return f"{', '.join(true) or 'nothing'} → {predicted}"


def confidence(space: Workspace, prediction: Prediction) -> str:
    """In per cent; "" without classes."""
    return f"{prediction.confidence:.1%}" if prediction.classifies else ""


def bars(space: Workspace, prediction: Prediction) -> list[Bar]:
    """The most probable classes; of independent labels the mistakes too."""
    shown = prediction.top(TOP)
    listed = {index for index, _ in shown}
    extra = prediction.missed | prediction.extra if prediction.kind == "labels" else frozenset()
    if prediction.kind != "labels" and prediction.label is not None and prediction.classifies:
        extra = frozenset({prediction.label})
    shown += [(i, float(prediction.probabilities[i])) for i in sorted(extra) if i not in listed]
    return [_bar(space, prediction, index, value) for index, value in shown]


def tags(remark: Remark) -> list[str]:
    """What a person said, short."""
    should = [f"should be {remark.should_be}"] if remark.should_be else []
    return [*remark.tags, *should]


def _bar(space: Workspace, prediction: Prediction, index: int, value: float) -> Bar:
    role, kind = _role(prediction, index)
    return Bar(
        space.class_name(index),
        role,
        space.vit.outputs.shown(value),
        min(max(value, 0.0), 1.0) if prediction.classifies else None,
        kind,
        prediction.threshold if prediction.kind == "labels" else None,
    )


def _role(prediction: Prediction, index: int) -> tuple[str, str]:
    """What a class is to this prediction, in words, and the colour of its bar."""
    if prediction.kind == "labels":
        if index in prediction.missed:
            return "true, missed", "wrong"
        if index in prediction.extra:
            return "not true", "wrong"
        if index in prediction.said:
            return ("predicted · true", "right") if prediction.true else ("predicted", "wrong")
        return "", ""
    roles = ["predicted"] if prediction.classifies and index == prediction.predicted else []
    roles += ["true"] if index == prediction.label else []
    kind = "right" if index == prediction.label else "wrong" if roles else ""
    return " · ".join(roles), kind
