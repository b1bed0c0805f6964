"""attnlib: exact attention and attribution maps of Vision Transformers, to debug predictions.

import attnlib
vit = attnlib.load("demo")
record = vit.inspect(image)
heat = vit.attribute(image, method="rollout")
"""

from attnlib.errors import (
    AttnlibError,
    CaptureError,
    ImageError,
    LabelError,
    ModelError,
    OutOfMemory,
)
from attnlib.methods import METHODS, Heat, Method
from attnlib.model import load, model_names
from attnlib.record import Record
from attnlib.tokens import TokenLayout
from attnlib.vit import Vit


def methods() -> dict[str, Method]:
    """The attribution methods: name -> title, description, options, class-specific or not."""
    return dict(METHODS)


__all__ = [
    "AttnlibError",
    "CaptureError",
    "Heat",
    "ImageError",
    "LabelError",
    "Method",
    "ModelError",
    "OutOfMemory",
    "Record",
    "TokenLayout",
    "Vit",
    "load",
    "methods",
    "model_names",
]
