"""The embedded demo: a small ViT trained on CIFAR-10, and test images that it was not shown.

Everything lies inside the package, so the demo needs no network.  How it was made is in
``demo_data/README.md`` (the model card); ``python -m training.train_demo`` makes it again.
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

FOLDER = Path(__file__).parent / "demo_data"
WEIGHTS = FOLDER / "model.safetensors"

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
ARCHITECTURE: dict[str, Any] = {
    "img_size": 32,
    "patch_size": 4,
    "embed_dim": 128,
    "depth": 6,
    "num_heads": 4,
    "num_classes": len(CLASS_NAMES),
}
DATA_CONFIG: dict[str, Any] = {
    "input_size": (3, 32, 32),
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "crop_mode": "center",
    "mean": MEAN,
    "std": STD,
}


@dataclass(frozen=True)
class DemoImage:
    """A test image: PNG bytes, its true class, and why it is in the set.

    ``chosen`` is ``"random"`` (drawn at random from the test split, so that mistakes have the
    share that the model really makes) or ``"confident mistake"``.
    """

    name: str
    data: bytes
    label: str
    chosen: str


def build() -> VisionTransformer:
    """The demo architecture with its trained weights."""
    module = VisionTransformer(**ARCHITECTURE)
    module.load_state_dict(load_file(WEIGHTS))
    return module


@cache
def images() -> tuple[DemoImage, ...]:
    """The demo images, in the order of their table ``images.csv``."""
    with (FOLDER / "images.csv").open(newline="", encoding="utf-8") as table:
        return tuple(
            DemoImage(
                row["filename"],
                (FOLDER / "images" / row["filename"]).read_bytes(),
                row["label"],
                row["chosen"],
            )
            for row in csv.DictReader(table)
        )


@cache
def facts() -> dict[str, Any]:
    """What was measured of the demo model on the whole test split; see the model card."""
    found: dict[str, Any] = json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))
    return found
