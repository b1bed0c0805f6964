"""The door to Markdown, where pages look for it."""

from attnlib.pictures.markdown import JOINER as JOINER
from attnlib.pictures.markdown import literal as literal
