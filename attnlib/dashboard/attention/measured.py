"""Numbers of all heads on the chosen image, kept in the shared store."""

from __future__ import annotations

from attnlib.dashboard.parts.look import Look
from attnlib.dashboard.state import results
from attnlib.heads import HeadStatistics, head_statistics


def statistics(look: Look) -> HeadStatistics:
    """Statistics of all heads on this image.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    space = look.space
    return results.numbers(
        space.choice,
        space.by_name[look.name],
        "head statistics",
        lambda: head_statistics(space.vit, look.subject.pixels),
    )
