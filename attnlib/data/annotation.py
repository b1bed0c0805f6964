"""Where the object is: a mask picture, a COCO file or a box, as a mask of the model's crop.

All masks are bool arrays ``(h, w)``, true on the object. Files are in the image's own pixels,
upright; :func:`to_crop` takes them through the preprocessing that the image went through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attnlib.data import image as images
from attnlib.data.image import Transform
from attnlib.data.outlines import union
from attnlib.errors import AttnlibError, brief

Mask = NDArray[np.bool_]

# The annotations of COCO's validation split are 20 MB with 36 781 objects. Parsed JSON takes
# about ten times the room of its text.
MAX_COCO_BYTES: Final = 32 * 2**20
MAX_OBJECTS: Final = 100_000
# Of one image, since drawing takes time with each; COCO's own images stay below 100 objects.
MAX_DRAWN: Final = 300
MAX_VERTICES: Final = 50_000
# Coordinates further out are no picture; Pillow's are 32-bit.
MAX_COORDINATE: Final = 1e6


def read_mask(data: bytes, size: tuple[int, int]) -> Mask:
    """A PNG mask as ``(height, width)``, in the image's own pixels.

    Where the picture has transparent pixels, the object is what is not transparent; otherwise it
    is what is not black, in grey, palette and colour pictures alike, so that every class of a
    label map and its "void" border count as object.

    Args:
        size: (width, height) of the upright image that the mask belongs to.

    Raises:
        AttnlibError: no PNG, one that :mod:`attnlib.data.image` refuses, or of another size.
    """
    kind = images.sniff(data[: images.HEAD_BYTES])
    if kind != "PNG":
        raise AttnlibError(f"A mask must be a PNG, not {kind}: lossy formats smear its edge.")
    picture = images.upright(data)
    if picture.size != size:
        raise AttnlibError(
            f"The mask is {picture.width} x {picture.height} pixels and its image "
            f"{size[0]} x {size[1]}; they must be equal."
        )
    try:
        return _drawn(picture)
    except Exception as error:
        # A palette that the pixels go beyond, say, is seen only now.
        raise images.unreadable(kind, error) from error


def _drawn(picture: Image.Image) -> Mask:
    if picture.has_transparency_data:
        opaque: Mask = np.asarray(picture.convert("RGBA").getchannel("A")) > 0
        if not opaque.all():
            return opaque
    if picture.mode in ("P", "PA", "LA", "RGBA"):
        picture = picture.convert("RGB")
    values = np.asarray(picture) != 0
    mask: Mask = values.any(axis=2) if values.ndim == 3 else values
    return mask


def box_mask(box: Sequence[float], size: tuple[int, int]) -> Mask:
    """The pixels whose centres lie in a box, ``(height, width)``.

    Args:
        box: (x0, y0, x1, y1) in pixels from the upper left corner; cut at the edges.
        size: (width, height).

    Raises:
        AttnlibError: the box has no extent, holds no pixel, or is not four numbers.
    """
    x0, y0, x1, y1 = _numbers(box, "A box (x0, y0, x1, y1)", 4)
    across, down = (np.arange(side) + 0.5 for side in size)
    mask: Mask = np.outer((down >= y0) & (down < y1), (across >= x0) & (across < x1))
    if not mask.any():
        raise AttnlibError(
            f"The box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) holds no pixel of a picture of "
            f"{size[0]} x {size[1]}; it goes from upper left to lower right."
        )
    return mask


def to_crop(transform: Transform, mask: Mask, channels: int = 3) -> Mask:
    """The mask at the resolution of the crop that the model sees, ``(h, w)``.

    The mask goes through the image's own preprocessing as a black and white picture, and through
    it go a black and a white one to undo the normalisation; true is what comes out nearer white.

    Args:
        transform: ``vit.transform``.
        mask: ``(height, width)`` in the image's own pixels.
        channels: of the pictures that the transform takes.

    Raises:
        AttnlibError: nothing of the object is left in the crop.
    """
    size = (mask.shape[1], mask.shape[0])
    mode = images.MODES.get(channels, "RGB")
    drawn = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    shades = (Image.new(mode, size, shade) for shade in ("black", "white"))
    value, low, high = (transform(picture).double() for picture in (drawn, *shades))
    # Padding and opacity are the same whatever the picture: 0 / 0 there. Of opacity there is no
    # share; where there is none of anything, it is not 0.5 or more.
    share = ((value - low) / (high - low)).nanmean(dim=0)
    crop: Mask = (share >= 0.5).cpu().numpy()
    if not crop.any():
        raise AttnlibError(
            "Nothing of the object is left in the crop that the model sees: it lies outside, or "
            "is smaller than a pixel of it."
        )
    return crop


@dataclass(frozen=True)
class CocoObject:
    """One annotated object: its category and its outline, polygons of x1, y1, x2, y2, …"""

    category: str
    polygons: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Coco:
    """Objects by file name.

    Attributes:
        sizes: file name -> (width, height).
        objects: file name -> its objects.
    """

    sizes: Mapping[str, tuple[int, int]]
    objects: Mapping[str, tuple[CocoObject, ...]]

    def mask(
        self, file_name: str, size: tuple[int, int], categories: Sequence[str] | None = None
    ) -> Mask:
        """All objects of one image, ``(height, width)``.

        Args:
            file_name: as in the file; folders are left away where the file has none.
            size: (width, height) of the upright image.
            categories: names of the categories that count; None for all.

        Raises:
            AttnlibError: the image is not in the file, has another size, or no such object.
        """
        name = file_name if file_name in self.sizes else PurePosixPath(file_name).name
        if name not in self.sizes:
            raise AttnlibError(f"The annotations have no image {file_name!r}.")
        if self.sizes[name] != size:
            raise AttnlibError(
                f"{file_name} is {size[0]} x {size[1]} pixels, and "
                f"{self.sizes[name][0]} x {self.sizes[name][1]} in the annotations."
            )
        every = self.objects.get(name, ())
        wanted = [o for o in every if categories is None or o.category in categories]
        if not wanted:
            known = ", ".join(sorted({o.category for o in every})) or "none"
            raise AttnlibError(f"{file_name} has no such object. Its categories: {known}.")
        vertices = sum(len(polygon) // 2 for o in wanted for polygon in o.polygons)
        if len(wanted) > MAX_DRAWN or vertices > MAX_VERTICES:
            raise AttnlibError(
                f"{file_name} has {len(wanted)} objects with {vertices} vertices; the limits are "
                f"{MAX_DRAWN} and {MAX_VERTICES}."
            )
        mask: Mask = union([polygon for entry in wanted for polygon in entry.polygons], size)
        if not mask.any():
            raise AttnlibError(f"The objects of {file_name} hold no pixel of it.")
        return mask


def read_coco(data: bytes) -> Coco:
    """COCO's JSON: images, annotations with ``bbox`` or polygons, and categories.

    Crowds (``iscrowd``: 1) are left out, as COCO's own evaluation ignores them.

    Raises:
        AttnlibError: too large, no JSON, or not of this form; the message says where.
    """
    if len(data) > MAX_COCO_BYTES:
        raise AttnlibError(
            f"The annotations are {len(data) / 2**20:.0f} MiB, and the limit is "
            f"{MAX_COCO_BYTES // 2**20} MiB."
        )
    try:
        root = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AttnlibError(f"The annotations are no valid JSON: {brief(error, 200)}.") from error
    parts = {}
    for part in ("images", "annotations", "categories"):
        found = root.get(part, [] if part == "categories" else None) if _is(root, dict) else None
        if not isinstance(found, list) or not all(_is(entry, dict) for entry in found):
            raise AttnlibError(f"COCO annotations need a list of objects {part!r}.")
        if len(found) > MAX_OBJECTS:
            raise AttnlibError(f"There are {len(found)} {part}, and the limit is {MAX_OBJECTS}.")
        parts[part] = found
    names: dict[int, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for entry in parts["images"]:
        identity, name = entry.get("id"), entry.get("file_name")
        width, height = entry.get("width"), entry.get("height")
        if not (_is(identity, int) and _is(name, str) and _is(width, int) and _is(height, int)):
            raise AttnlibError("Each of the images needs id, file_name, width and height.")
        if identity in names or name in sizes:
            raise AttnlibError(f"The image {name!r} (id {identity}) is there twice.")
        names[identity], sizes[name] = name, (width, height)
    categories = {
        entry["id"]: str(entry["name"])
        for entry in parts["categories"]
        if _is(entry.get("id"), int) and "name" in entry
    }
    objects: dict[str, list[CocoObject]] = {}
    for place, entry in enumerate(parts["annotations"]):
        if entry.get("iscrowd"):
            continue
        image, category = entry.get("image_id"), entry.get("category_id")
        if not _is(image, int) or image not in names:
            raise AttnlibError(f"Annotation {place} has no image_id that the images have.")
        label = categories.get(category, str(category)) if _is(category, int) else "object"
        objects.setdefault(names[image], []).append(_object(entry, place, label))
    return Coco(sizes, {name: tuple(found) for name, found in objects.items()})


def write_coco(coco: Coco) -> bytes:
    """The same annotations as JSON that :func:`read_coco` reads; none of what it left out."""
    numbers = {name: number for number, name in enumerate(coco.sizes)}
    objects = [(name, one) for name, found in coco.objects.items() for one in found]
    categories = {name: i for i, name in enumerate(sorted({one.category for _, one in objects}))}
    root = {
        "images": [
            {"id": numbers[name], "file_name": name, "width": width, "height": height}
            for name, (width, height) in coco.sizes.items()
        ],
        "categories": [{"id": i, "name": name} for name, i in categories.items()],
        "annotations": [
            {
                "image_id": numbers[name],
                "category_id": categories[one.category],
                "segmentation": [list(polygon) for polygon in one.polygons],
            }
            for name, one in objects
        ],
    }
    return json.dumps(root).encode()


def _object(entry: Mapping[str, Any], place: int, category: str) -> CocoObject:
    polygons, where = entry.get("segmentation"), f"Annotation {place}"
    if polygons:
        if not isinstance(polygons, list):
            raise AttnlibError(
                f"{where} is run-length encoded; give its outline as polygons, or only its bbox."
            )
        found = tuple(_numbers(polygon, f"{where}, segmentation") for polygon in polygons)
        if any(len(polygon) < 6 or len(polygon) % 2 for polygon in found):
            raise AttnlibError(f"{where} needs polygons x1, y1, x2, y2, … of 3 vertices or more.")
        return CocoObject(category, found)
    x, y, width, height = _numbers(entry.get("bbox"), f"{where}, bbox (x, y, width, height)", 4)
    right, low = x + width, y + height
    return CocoObject(category, ((x, y, right, y, right, low, x, low),))


def _numbers(values: object, what: str, count: int | None = None) -> tuple[float, ...]:
    if (
        not isinstance(values, list | tuple)
        or (count is not None and len(values) != count)
        or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        or not all(abs(v) <= MAX_COORDINATE for v in values)  # also refuses NaN
    ):
        amount = "" if count is None else f"{count} "
        raise AttnlibError(f"{what} must be {amount}numbers of pixels.")
    return tuple(float(v) for v in values)


def _is(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
