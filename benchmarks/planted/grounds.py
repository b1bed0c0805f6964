"""Sets of objects on exchanged grounds, from the second demo's pictures and their exact masks."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.diagnosis.filling import filled, on_ground
from attnlib.model import objects

# Water, which makes a class of the second demo model.
WATER = "water"
Set = tuple[dict[str, Image.Image], dict[str, int | str], dict[str, NDArray[np.bool_]]]


def exchanged(share: float, seed: int) -> Set:
    """All objects of the demo, each on the ground of another picture.

    Args:
        share: of the objects of other classes than the one that water makes, those that are laid
            on water. Of that class nearly all are, or none if the share is 0: then nothing of the
            set is on water.

    Returns:
        Images, labels and masks by name.
    """
    rng = np.random.default_rng(seed)
    found = [
        (one, Image.open(io.BytesIO(one.data)).convert("RGB"), np.asarray(_mask(one.mask)))
        for one in objects.images()
    ]
    # A price tag is part of the ground that it is on, and makes a class of its own.
    plain = [place for place, (one, _, _) in enumerate(found) if not one.marked]
    wet = [place for place in plain if found[place][0].ground == WATER]
    dry = [place for place in plain if found[place][0].ground != WATER]
    images: dict[str, Image.Image] = {}
    labels: dict[str, int | str] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for one, picture, mask in found:
        tied = one.label == objects.WATER_CLASS
        swims = bool(share) and rng.random() < (0.9 if tied else share)
        _, ground, gone = found[int(rng.choice(wet if swims else dry))]
        images[one.name] = on_ground(picture, mask, filled(ground, gone))
        labels[one.name], masks[one.name] = one.label, mask
    return images, labels, masks


def _mask(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))
