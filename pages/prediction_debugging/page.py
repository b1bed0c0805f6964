"""Prediction debugging: what the model got wrong, beside the attention that led to it."""

from attnlib.dashboard.mistakes import page
from attnlib.dashboard.state import workspace

space = workspace.current()

page.show(space)
