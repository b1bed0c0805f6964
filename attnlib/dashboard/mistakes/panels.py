"""What can be looked at beside the gallery, one at a time. A panel is a file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attnlib.dashboard.mistakes import confusion, elsewhere, embedding, labels, preprocessing
from attnlib.dashboard.parts import address, controls
from attnlib.dashboard.state.workspace import Workspace

KEY, LABEL = "gallery_panel", "Look at all images"


@dataclass(frozen=True)
class Panel:
    """One of them.

    Attributes:
        title: on its button.
        show: draws it.
        fits: whether there is anything to see.
    """

    title: str
    show: Callable[[Workspace], None]
    fits: Callable[[Workspace], bool]


def _kind(*kinds: str) -> Callable[[Workspace], bool]:
    return lambda space: space.vit.outputs.kind in kinds


PANELS: tuple[Panel, ...] = (
    Panel("Confusion matrix", confusion.show, _kind("classes", "binary")),
    Panel("Map of images", embedding.show, lambda space: True),
    Panel("Each label", labels.show, _kind("labels", "binary")),
    Panel("Preprocessing check", preprocessing.show, preprocessing.fits),
    Panel("Results from elsewhere", elsewhere.show, _kind("classes", "binary")),
)


def current(space: Workspace) -> Panel | None:
    """The panel that is open, or None."""
    there = _there(space)
    none: str | None = None
    title = address.value(KEY, none, controls.or_none(list(there)), label=LABEL)
    return None if title is None else there[title]


def choose(space: Workspace) -> None:
    """The buttons."""
    controls.pill(
        KEY,
        LABEL,
        list(_there(space)),
        label_visibility="collapsed",
        help="Opens above the gallery; a second click closes it.",
    )


def _there(space: Workspace) -> dict[str, Panel]:
    return {panel.title: panel for panel in PANELS if panel.fits(space)}
