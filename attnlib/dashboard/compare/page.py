"""The parts of the page, of which one is shown and computed."""

from __future__ import annotations

from collections.abc import Callable

from attnlib.audit import Prediction
from attnlib.dashboard.compare import (
    agreement,
    belief,
    compute,
    faithfulness,
    faithfulness_set,
    localisation,
    maps,
    randomised,
    settings,
)
from attnlib.dashboard.compare.compute import Compared
from attnlib.dashboard.parts import address, views
from attnlib.dashboard.state.workspace import Workspace

Part = Callable[[Workspace, Prediction, int, settings.Settings], None]


def _of_maps(show: Callable[[Workspace, Prediction, Compared, settings.Settings], None]) -> Part:
    """A part about the maps of all methods: it waits for them."""

    def part(
        space: Workspace, prediction: Prediction, target: int, chosen: settings.Settings
    ) -> None:
        compared = compute.maps(space, prediction, target, chosen)
        if compared is not None:
            show(space, prediction, compared, chosen)

    return part


def _faithfulness(
    space: Workspace, prediction: Prediction, target: int, chosen: settings.Settings
) -> None:
    """This image, then all of them."""
    _of_maps(_of_image)(space, prediction, target, chosen)
    faithfulness_set.show(space, chosen)


def _of_image(
    space: Workspace, prediction: Prediction, compared: Compared, chosen: settings.Settings
) -> None:
    """What is missing, the curves, and the answer that follows from them."""
    maps.missing(compared)
    faithfulness.show(space, prediction, compared, chosen)
    belief.show(space, prediction, compared)


PARTS: dict[str, Part] = {
    "Maps": _of_maps(maps.show),
    "Agreement": _of_maps(agreement.show),
    "Faithfulness": _faithfulness,
    "Randomised weights": randomised.show,
    "Localisation": _of_maps(localisation.show),
}


@address.fragment
def show(space: Workspace, prediction: Prediction) -> None:
    """The choice of a part, the shared options, and the part. A fragment: the rest stays."""
    part = views.choose(
        "compare_part",
        PARTS,
        label="Part",
        help="Which question to ask of the methods; only what is shown is computed.",
    )
    space = space.about(prediction.name)
    target, chosen = settings.choose(space, prediction)
    part(space, prediction, target, chosen)
