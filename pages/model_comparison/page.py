"""Model comparison: what does another model repair and break, on the same images?"""

from attnlib.dashboard.state import workspace
from attnlib.dashboard.versus import page

space = workspace.current()

page.show(space)
