"""Head similarity: what heads do to a mistake, which of them are alike, and which stand out."""

from attnlib.dashboard.heads import page
from attnlib.dashboard.state import workspace
from attnlib.dashboard.triage import strip

space = workspace.current()

prediction = strip.show(space)
if prediction is not None:
    page.show(space, prediction)
