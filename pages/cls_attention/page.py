"""CLS attention: what did the prediction look at, and when did it start to?"""

from attnlib.dashboard.attention import page
from attnlib.dashboard.state import workspace
from attnlib.dashboard.triage import strip

space = workspace.current()

prediction = strip.show(space)
if prediction is not None:
    page.show(space, prediction)
