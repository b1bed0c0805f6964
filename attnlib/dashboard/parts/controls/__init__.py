"""Every control of the dashboard, each declared once.

One declaration gives a control its key, help, default, memory across pages and its place in the
address bar (see :mod:`attnlib.dashboard.parts.address`). All of them take:
    key: of the widget, of what is remembered, and of the parameter in the address.
    help: a sentence.
    of: what the choice belongs to: for another image, say, there is another choice.
    linked: whether the address says it. False only where a link could not mean anything.

Each tells Streamlit its value as the default too. A browser that missed the run in which the value
was set, because the next one came at once, would take the first of a list for it and send it back:
a visitor of a busy server had images resized by another interpolation than the model's.
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
