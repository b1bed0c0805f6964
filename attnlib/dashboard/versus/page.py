"""The page as a whole: two models on the same images, or the checkpoints of a training run."""

from __future__ import annotations

from collections.abc import Callable

from attnlib.dashboard.parts import views
from attnlib.dashboard.state.workspace import Workspace
from attnlib.dashboard.versus import pair, run

VIEWS: dict[str, Callable[[Workspace], None]] = {
    "Two models": pair.show,
    "A training run": run.show,
}


def show(space: Workspace) -> None:
    """The chosen view."""
    view = views.choose(
        "versus_view",
        VIEWS,
        label="Compare",
        help="Two models image by image, or many checkpoints of one training run.",
    )
    view(space)
