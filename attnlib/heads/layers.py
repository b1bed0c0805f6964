"""The layers of a model in which every token can look at every other."""

from __future__ import annotations

from collections.abc import Sequence

from attnlib.capture.call import AttentionCall
from attnlib.errors import CaptureError
from attnlib.methods import Subject


def global_layers(subject: Subject) -> Sequence[AttentionCall]:
    """The attention of every layer on one image.

    Raises:
        CaptureError: the model has no attention between all tokens.
    """
    vit = subject.vit
    if "rollout" not in vit.support.maps:
        raise CaptureError(
            f"{vit.name} has no layers of attention between all tokens: {vit.support.reason}."
        )
    return subject.trace.layers
