"""A second model on the visitor's images: inspected beside the page, kept while there is room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from attnlib import audit
from attnlib.audit import Prediction
from attnlib.dashboard.state import models, workspace
from attnlib.dashboard.state.inspection import Inspection
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.shelf import identity
from attnlib.dashboard.state.workspace import Workspace
from attnlib.data.labels import LabelMatch
from attnlib.model.vit import Vit

# Models that one session has beside its own; their predictions are small.
MOST: Final = 4


@dataclass
class Beside:
    """What a session holds of one model beside the one in use.

    Attributes:
        matched: what its labels were matched from, and the match.
        predictions: by sample name, as of the last run.
    """

    job: Inspection
    matched: tuple[object, LabelMatch] | None = None
    predictions: dict[str, Prediction] = field(default_factory=dict)


def look(space: Workspace, choice: ModelChoice, vit: Vit) -> Workspace:
    """The same images and labels before another model; its inspection begins, or goes on.

    Args:
        choice, vit: the other model, prepared and named as it is to be used.
    """
    visitor = space.session
    held: dict[ModelChoice, Beside] = visitor.beside
    before = held.pop(choice, None)
    # The one that is looked at last is at the end.
    if before is not None and before.job.samples is space.samples:
        held[choice] = before
    else:
        job = Inspection(choice, vit, space.samples, before=before.job if before else None)
        if before is not None:
            before.job.stop()
        held[choice] = Beside(job)
        job.start(wait=0.8)
    while len(held) > MOST:
        held.pop(next(iter(held))).job.stop()
    found = held[choice]
    names, several = vit.class_names, vit.outputs.kind == "labels"
    given = workspace.given(visitor, names, several)
    if found.matched is None or found.matched[0] != given:
        found.matched = given, workspace.matched(visitor, names, several)
        found.predictions = {}
    return Workspace(
        visitor,
        vit,
        choice,
        found.matched[1],
        space.threshold,
        job=found.job,
        kept=found.predictions,
    )


def outcome(space: Workspace, there: Workspace) -> audit.Versus:
    """What became of each image that both models have looked at so far."""
    return audit.versus(space.predictions, there.predictions)


def categories(space: Workspace) -> Mapping[str, audit.Category]:
    """By name of the image, what the second model made of it; empty without a second model.

    The second model is the one that was set beside the first one last; its inspection goes on
    where it stopped. For a filter on another page than the comparison.

    Raises:
        AttnlibError: its weights were dropped and cannot be loaded again.
    """
    choice = _last(space)
    if choice is None:
        return {}
    kept = space.session.models.get(choice)
    vit = models.get(choice, None if kept is None else kept.upload)
    return outcome(space, look(space, choice, vit)).categories


def title(space: Workspace) -> str:
    """What the second model is called; "" where there is none."""
    choice = _last(space)
    return "" if choice is None else choice.title


def _last(space: Workspace) -> ModelChoice | None:
    """The model that was set beside the one in use last."""
    others = [one for one in space.session.beside if identity(one) != identity(space.choice)]
    return others[-1] if others else None
