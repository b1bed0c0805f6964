"""Every control of the dashboard, each declared once.

One declaration gives a control its key, help, default, memory across pages and its place in the
address bar (see :mod:`attnlib.dashboard.parts.address`). All of them take:
    key: of the widget, of what is remembered, and of the parameter in the address.
    help: a sentence.
    of: what the choice belongs to: for another image, say, there is another choice.
    linked: whether the address says it. False only where a link could not mean anything.
"""

from attnlib.dashboard.parts.controls.lists import choice, maybe, or_none, pill, segments, several
from attnlib.dashboard.parts.controls.numbers import number, page, slider, steps
from attnlib.dashboard.parts.controls.others import drawer, text, toggle

__all__ = [
    "choice",
    "drawer",
    "maybe",
    "number",
    "or_none",
    "page",
    "pill",
    "segments",
    "several",
    "slider",
    "steps",
    "text",
    "toggle",
]
