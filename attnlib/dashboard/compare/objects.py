"""Masks and annotations of the chosen image, in the crop that the model sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnlib.dashboard.state import results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.data import annotation
from attnlib.data.annotation import Coco, Mask
from attnlib.data.collection import Sample
from attnlib.data.image import as_stored, decode, sha256
from attnlib.model.vit import Vit


def crop_of_png(choice: ModelChoice, vit: Vit, sample: Sample, data: bytes) -> Mask:
    """A PNG mask in the crop that the model sees, from memory if it was made before.

    Raises:
        AttnlibError: the mask does not fit the image, or leaves nothing in the crop.
    """

    def make() -> NDArray[np.bool_]:
        mask = annotation.read_mask(data, decode(sample.data).size)
        return annotation.to_crop(vit.transform, _as_decoded(choice, sample, mask), vit.channels)

    return results.numbers(choice, sample, ("mask", sha256(data)), make)


def crop_of_coco(
    choice: ModelChoice,
    vit: Vit,
    sample: Sample,
    coco: tuple[str, Coco],
    categories: tuple[str, ...],
) -> Mask:
    """Annotated objects in the crop that the model sees.

    Args:
        categories: those that count; empty for all.

    Raises:
        AttnlibError: the image is not annotated, or nothing is left in the crop.
    """

    def make() -> NDArray[np.bool_]:
        mask = coco[1].mask(sample.name, decode(sample.data).size, categories or None)
        return annotation.to_crop(vit.transform, _as_decoded(choice, sample, mask), vit.channels)

    return results.numbers(choice, sample, ("coco", coco[0], sample.name, categories), make)


def _as_decoded(choice: ModelChoice, sample: Sample, mask: Mask) -> Mask:
    """A mask of the upright image, turned as the model's image is."""
    return mask if choice.decoding == "upright" else as_stored(mask, sample.data)
