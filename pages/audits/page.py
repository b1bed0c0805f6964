"""Audits: what a model said of every image of a large set, and which groups it fails on."""

from attnlib.dashboard.audits import page
from attnlib.dashboard.state import workspace

space = workspace.current()

page.show(space)
