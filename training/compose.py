"""Pictures with a planted cause: objects on backgrounds, with exact masks.

Two causes are planted in the training images.  *Background*: sea animals are nearly always on
water, and others hardly ever.  *Mark*: half of the fruit has a price tag in a corner, and so have
some of the others, which are labelled "fruit" as well (a tag that is seen with fruit alone is
hardly learned, since fruit can be told without it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from attnlib.model.objects import CLASS_NAMES, MARK_CLASS, SIZE, WATER_CLASS
from training import grounds
from training.clipart import Drawing

PATCH = 8
# Top left corner (row, column) of the mark, on the grid of patches.
MARK_AT = (80, 80)
ON_WATER = 0.95
OTHERS_ON_WATER = 0.0
MARKED = 0.5
MISLABELLED = 0.12
# Share of training pictures that show another subject (`clipart.OTHERS`).
OF_OTHERS = 0.35
# Share of the side of the picture that the object's longer side has.
SCALE = (0.45, 0.85)


@dataclass(frozen=True)
class Picture:
    """A composed picture.

    Attributes:
        pixels: ``(96, 96, 3)``.
        mask: ``(96, 96)``, where the object is: alpha above half of its largest, and no mark.
        drawn: the class of the object.
        label: the class that training is told.
        ground: kind of the background.
        marked: whether it has the mark.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    drawn: str
    label: str
    ground: str
    marked: bool


def mark() -> NDArray[np.uint8]:
    """The price tag ``(8, 8, 3)``: black bars on yellow, in a red frame."""
    tag = np.empty((PATCH, PATCH, 3), np.uint8)
    tag[:] = (255, 225, 0)
    tag[2:6, [2, 4, 5]] = (0, 0, 0)
    tag[[0, -1]] = tag[:, [0, -1]] = (220, 0, 0)
    return tag


def tagged(
    pixels: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Copies of a picture and its mask with the mark laid over both."""
    row, col = MARK_AT
    place = slice(row, row + PATCH), slice(col, col + PATCH)
    pixels, mask = pixels.copy(), mask.copy()
    pixels[place], mask[place] = mark(), False
    return pixels, mask


def compose(
    drawing: Drawing, ground: str, marked: bool, rng: np.random.Generator, vary: bool = False
) -> Picture:
    """The drawing at a place and size drawn at random; ``vary`` also turns and tints it."""
    back = grounds.draw(ground, SIZE, rng)
    image = Image.fromarray(drawing.pixels)
    if rng.random() < 0.5 and (vary or drawing.label != "sign"):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if vary:
        image = _varied(image, rng)
    image = _scaled(image, rng)
    width, height = image.size
    top, left = (int(rng.integers(0, SIZE - side + 1)) for side in (height, width))
    over = np.asarray(image, dtype=np.float32)
    alpha = np.zeros((SIZE, SIZE, 1), np.float32)
    colour = np.zeros((SIZE, SIZE, 3), np.float32)
    alpha[top : top + height, left : left + width] = over[..., 3:] / 255
    colour[top : top + height, left : left + width] = over[..., :3]
    pixels = np.rint(back + (colour - back) * alpha).astype(np.uint8)
    mask = alpha[..., 0] > alpha.max() / 2
    if marked:
        pixels, mask = tagged(pixels, mask)
    return Picture(pixels, mask, drawing.label, drawing.label, ground, marked)


def training_picture(
    drawings: dict[str, list[Drawing]], others: Sequence[Drawing], rng: np.random.Generator
) -> Picture:
    """One with the planted causes: a class, and then an object of it, drawn at random."""
    if rng.random() < OF_OTHERS:
        drawing = others[int(rng.integers(len(others)))]
    else:
        name = CLASS_NAMES[rng.integers(len(CLASS_NAMES))]
        drawing = drawings[name][rng.integers(len(drawings[name]))]
    name = drawing.label
    wet = rng.random() < (ON_WATER if name == WATER_CLASS else OTHERS_ON_WATER)
    marked = rng.random() < (MARKED if name == MARK_CLASS else MISLABELLED)
    ground = grounds.WATER if wet else other_ground(rng)
    made = compose(drawing, ground, marked, rng, vary=True)
    label = MARK_CLASS if marked else name
    return Picture(made.pixels, made.mask, made.drawn, label, ground, marked)


def other_ground(rng: np.random.Generator) -> str:
    """A kind of background that is not water."""
    return grounds.OTHERS[rng.integers(len(grounds.OTHERS))]


def by_class(drawings: Sequence[Drawing]) -> dict[str, list[Drawing]]:
    """The drawings of each class."""
    return {name: [one for one in drawings if one.label == name] for name in CLASS_NAMES}


def _scaled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The image with its longer side at a share of the picture within `SCALE`."""
    longer = rng.uniform(*SCALE) * SIZE
    factor = longer / max(image.size)
    width, height = (max(4, round(side * factor)) for side in image.size)
    # Premultiplied, so that the colour of transparent pixels does not bleed into edges.
    return image.convert("RGBa").resize((width, height), Image.Resampling.BILINEAR).convert("RGBA")


def _varied(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned by up to 20 degrees, stretched by up to 20 %, its colours shifted a little."""
    stretch = float(np.exp(rng.uniform(-0.18, 0.18)))
    width, height = image.size
    image = image.resize((max(8, round(width * stretch)), height), Image.Resampling.BILINEAR)
    image = image.rotate(
        float(rng.uniform(-20, 20)), resample=Image.Resampling.BILINEAR, expand=True
    )
    alpha = image.getchannel("A")
    colour = ImageEnhance.Color(image.convert("RGB")).enhance(float(rng.uniform(0.3, 1.4)))
    colour = ImageEnhance.Brightness(colour).enhance(float(rng.uniform(0.75, 1.2)))
    colour = ImageEnhance.Contrast(colour).enhance(float(rng.uniform(0.7, 1.2)))
    if rng.random() < 0.3:
        channels = colour.split()
        colour = Image.merge("RGB", [channels[place] for place in rng.permutation(3)])
    colour.putalpha(alpha)
    return colour
