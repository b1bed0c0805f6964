"""Diagnosis: what is wrong with the model and the images, in sentences with their evidence."""

from attnlib.dashboard.diagnosis import page
from attnlib.dashboard.state import workspace

space = workspace.current()

page.show(space)
