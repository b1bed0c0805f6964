"""One prediction with the maps behind it: what a card, a report entry and the page show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from attnlib.audit import Prediction
from attnlib.dashboard.parts.pictures import Style, draw, plain, scale_of
from attnlib.dashboard.state import results
from attnlib.dashboard.state.workspace import Workspace
from attnlib.errors import AttnlibError
from attnlib.methods import Heat


@dataclass(frozen=True)
class Panel:
    """One picture with what it shows, in a caption short enough to stand under it."""

    caption: str
    picture: Image.Image


@dataclass(frozen=True)
class Case:
    """One image's panels.

    Attributes:
        panels: the crop, the map for the predicted class, the one for the true class, and
            what speaks for the first rather than the second; the two maps share one scale.
        references: the nearest correct images of the true and of the predicted class, with
            their maps.
        problem: why maps are missing, or "".
    """

    prediction: Prediction
    panels: list[Panel]
    references: list[Panel]
    problem: str = ""


def build(space: Workspace, prediction: Prediction, style: Style, side: int = 224) -> Case:
    """Compute or recall the maps of one prediction.

    Where the model has no gradient-weighted relevance, the class-agnostic rollout or the raw
    attention stands in, and the caption says so.
    """
    crop = space.inspected(prediction.name).picture
    panels = [Panel("what the model saw", plain(crop, side))]
    predicted = space.class_name(prediction.predicted)
    try:
        if "relevance" not in space.vit.support.maps:
            panels += _class_agnostic(space, prediction.name, style, side)
        else:
            panels += _class_specific(space, prediction, predicted, style, side)
    except AttnlibError as error:
        return Case(prediction, panels, [], str(error))
    return Case(prediction, panels, _references(space, prediction, style, side))


def _class_specific(
    space: Workspace, prediction: Prediction, predicted: str, style: Style, side: int
) -> list[Panel]:
    crop = space.inspected(prediction.name).picture
    for_predicted = heat(space, prediction.name, "relevance", prediction.predicted)
    if not prediction.wrong or prediction.label in (None, prediction.predicted):
        scale = scale_of([for_predicted])
        return [Panel(f"for “{predicted}”", draw(crop, for_predicted, scale, style, side))]
    assert prediction.label is not None
    true = space.class_name(prediction.label)
    for_true = heat(space, prediction.name, "relevance", prediction.label)
    contrast = heat(
        space, prediction.name, "contrast", prediction.predicted, against=prediction.label
    )
    scale = scale_of([for_predicted, for_true], "shared")
    return [
        Panel(
            f"for “{predicted}” ({_part(prediction)})",
            draw(crop, for_predicted, scale, style, side),
        ),
        Panel(f"for “{true}” (true)", draw(crop, for_true, scale, style, side)),
        Panel(
            f"for “{predicted}” rather than “{true}”",
            draw(crop, contrast, scale_of([contrast]), style, side),
        ),
    ]


def _part(prediction: Prediction) -> str:
    """Whether the class of the first map is predicted: of independent labels maybe none is."""
    return "predicted" if prediction.predicted in prediction.said else "not predicted"


def _class_agnostic(space: Workspace, name: str, style: Style, side: int) -> list[Panel]:
    method = "rollout" if "rollout" in space.vit.support.maps else "raw"
    made = heat(space, name, method, None)
    title = "rollout" if method == "rollout" else "attention"
    picture = draw(space.inspected(name).picture, made, scale_of([made]), style, side)
    return [Panel(f"{title} (the same for every class)", picture)]


def _references(space: Workspace, prediction: Prediction, style: Style, side: int) -> list[Panel]:
    """Correct images to compare with: of the true class, and of the class taken for it."""
    if not prediction.wrong or prediction.label is None:
        return []
    panels = []
    for label in dict.fromkeys((prediction.label, prediction.predicted)):
        for name, _ in space.nearest_correct(prediction.name, label):
            crop = space.inspected(name).picture
            title = f"nearest correct “{space.class_name(label)}”"
            panels.append(Panel(title, plain(crop, side)))
            if "relevance" in space.vit.support.maps:
                made = heat(space, name, "relevance", label)
                scale = scale_of([made])
                panels.append(Panel("its map", draw(crop, made, scale, style, side)))
    return panels


def heat(space: Workspace, name: str, method: str, target: int | None, **options: Any) -> Heat:
    """A map of a loaded image by name."""
    return results.heat(space.choice, space.vit, space.by_name[name], method, target, **options)
