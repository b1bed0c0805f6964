"""Workspaces: what was kept, who sees it, and what it is called."""

from attnlib.dashboard.state import workspace
from attnlib.dashboard.workspaces import page

space = workspace.current()

page.show(space)
