"""Attention walk-through: one attention computation, with the loaded model's real numbers."""

from attnlib.dashboard.state import workspace
from attnlib.dashboard.triage import strip
from attnlib.dashboard.walk import page

space = workspace.current()

part = page.part()
if part == "Playground":
    page.words()
else:
    prediction = strip.show(space)
    if prediction is not None:
        page.show(space, prediction, part)
