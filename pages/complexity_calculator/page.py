"""Complexity calculator: what a change of resolution, patch or model will cost."""

from attnlib.dashboard.cost import page
from attnlib.dashboard.state import workspace

space = workspace.current()

page.show(space)
