"""The demos that lie in the package, by the name under which each is loaded."""

from __future__ import annotations

from attnlib.model import demo, objects
from attnlib.model.built import Built

_DEMOS = {"demo": demo, objects.NAME: objects}
NAMES = tuple(_DEMOS)


def built(name: str) -> Built:
    """The demo of one of `NAMES`, with its weights."""
    one = _DEMOS[name]
    return Built(
        name,
        one.build(),
        dict(one.DATA_CONFIG),
        "the demo's model card",
        arguments={"loss": "cross entropy"},
        class_names=one.CLASS_NAMES,
        names_source="the demo's model card",
    )
