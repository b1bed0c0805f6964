"""attnlib: exact attention and attribution maps of Vision Transformers, to debug predictions.

import attnlib
vit = attnlib.load("demo")
record = vit.inspect(image)
heat = vit.attribute(image, method="rollout")
"""

from importlib import import_module
from types import ModuleType

from attnlib.capture.record import Record
from attnlib.capture.tokens import TokenLayout
from attnlib.errors import (
    AttnlibError,
    CaptureError,
    ImageError,
    LabelError,
    ModelError,
    NotFinite,
    OutOfMemory,
)
from attnlib.methods import METHODS, Heat, Method
from attnlib.model.load import load, model_names
from attnlib.model.vit import Vit

# Wings of the library that are asked for by name; each is imported when first used.
_LATER = {
    "ablation": "attnlib.heads.ablation",
    "audit": "attnlib.audit",
    "faithfulness": "attnlib.evaluation.faithfulness",
    "localisation": "attnlib.evaluation.localisation",
    "randomisation": "attnlib.evaluation.randomisation",
    "walkthrough": "attnlib.lessons.walkthrough",
    "complexity": "attnlib.complexity",
    "diagnosis": "attnlib.diagnosis",
    "heads": "attnlib.heads",
}


def __getattr__(name: str) -> ModuleType:
    if name not in _LATER:
        raise AttributeError(f"module 'attnlib' has no attribute {name!r}")
    return import_module(_LATER[name])


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
    "NotFinite",
    "OutOfMemory",
    "Record",
    "TokenLayout",
    "Vit",
    "load",
    "methods",
    "model_names",
]
