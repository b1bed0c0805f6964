"""Text from outside (file names, class names, messages) inside Markdown."""

from __future__ import annotations


def literal(text: str) -> str:
    """Text as Markdown that shows it literally."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-!|~$:" else c for c in text)
