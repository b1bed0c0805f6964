"""Parts of the page “Head similarity”: what the heads of a model do, and to which mistakes."""

from __future__ import annotations

from collections.abc import Callable

from attnlib.audit import Prediction
from attnlib.dashboard.heads import direct, effects, numbers, problems, similarity
from attnlib.dashboard.parts import views
from attnlib.dashboard.state.workspace import Workspace

SECTIONS: dict[str, Callable[[Workspace, Prediction], None]] = {
    "Effect on the prediction": effects.show,
    "Direct effect": direct.show,
    "Similarity": similarity.show,
    "Numbers and flags": numbers.show,
    "Common problems": problems.show,
}


def show(space: Workspace, prediction: Prediction) -> None:
    """Sections, of which only the chosen one is computed."""
    section = views.choose(
        "heads_section",
        SECTIONS,
        label="Section",
        help="What a head does to the prediction, which heads are alike, numbers for each head, "
        "or common problems.",
    )
    section(space.about(prediction.name), prediction)
