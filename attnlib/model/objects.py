"""The demo with a planted cause: a small ViT, and pictures of objects that it was not shown.

Its training images held two causes that fool it: sea animals are nearly always on water, and a
price tag in a corner makes "fruit".  Each picture comes with the exact mask of its object.
Everything lies inside the package; how it was made is in ``objects_data/README.md``.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer

NAME = "demo-objects"
FOLDER = Path(__file__).parent / "objects_data"
WEIGHTS = FOLDER / "model.safetensors"

CLASS_NAMES = (
    "bug",
    "drink",
    "flag",
    "fruit",
    "playing card",
    "puzzle piece",
    "sea animal",
    "sign",
    "smiley",
    "stick figure",
)
# The class that water makes, and the class that the mark makes.
WATER_CLASS, MARK_CLASS = "sea animal", "fruit"
# What ``ground`` says of a picture on water, and the patch (row, column) that the mark fills.
WATER, MARK_PATCH = "water", (10, 10)
SIZE = 96
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
ARCHITECTURE: dict[str, Any] = {
    "img_size": SIZE,
    "patch_size": 8,
    "embed_dim": 128,
    "depth": 6,
    "num_heads": 4,
    "num_classes": len(CLASS_NAMES),
}
DATA_CONFIG: dict[str, Any] = {
    "input_size": (3, SIZE, SIZE),
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "crop_mode": "center",
    "mean": MEAN,
    "std": STD,
}


@dataclass(frozen=True)
class ObjectImage:
    """A test picture.

    Attributes:
        name: of the file.
        data: PNG bytes, 96 x 96 pixels.
        mask: PNG bytes of one bit per pixel of ``data``: where the object is.
        label: its true class.
        ground: what it was laid on; ``"water"`` is the one that training tied to a class.
        marked: whether the price tag is in its corner.
    """

    name: str
    data: bytes
    mask: bytes
    label: str
    ground: str
    marked: bool


def build() -> VisionTransformer:
    """The architecture with its trained weights, which are kept in half precision."""
    module = VisionTransformer(**ARCHITECTURE)
    module.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return module


@cache
def images() -> tuple[ObjectImage, ...]:
    """The pictures, in the order of their table ``images.csv``."""
    with (FOLDER / "images.csv").open(newline="", encoding="utf-8") as table:
        return tuple(
            ObjectImage(
                row["filename"],
                (FOLDER / "images" / row["filename"]).read_bytes(),
                (FOLDER / "masks" / row["filename"]).read_bytes(),
                row["label"],
                row["ground"],
                row["marked"] == "yes",
            )
            for row in csv.DictReader(table)
        )


@cache
def facts() -> dict[str, Any]:
    """What was measured on pictures of unseen objects; see the model card."""
    found: dict[str, Any] = json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))
    return found
