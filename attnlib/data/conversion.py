"""From what an image file stores to 8-bit RGB, and what had to be done on the way."""

from __future__ import annotations

import io
from typing import Any, Final, Literal

import numpy as np
from PIL import Image, ImageCms

from attnlib.errors import ImageError

Decoding = Literal["upright", "as loaded"]
DECODINGS: Final[tuple[Decoding, ...]] = ("upright", "as loaded")

# The kinds of picture that files hold, by their number of channels.
MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = {
    Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
    Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
}


def converted(
    image: Image.Image, decoding: Decoding, channels: int = 3
) -> tuple[Image.Image, tuple[str, ...]]:
    """A loaded image as "RGB", and what was done to it, each in a few words.

    ``"upright"`` turns it by its EXIF orientation, lays transparency on white and scales 16 bits
    by 1/257; ``"as loaded"`` is ``Image.convert("RGB")``, as in torchvision's loader: not turned,
    without its transparency, and pixels above 255 cut off.

    Args:
        channels: 1 for grey ("L"), 4 for colours with their opacity ("RGBA"), else colours.

    Raises:
        ImageError: its pixels have no known scale.
    """
    orientation = _orientation(image)
    turn = _UPRIGHT.get(orientation)
    deep = image.mode in ("I", "F") or image.mode.startswith("I;16")
    clear = not deep and image.has_transparency_data and _transparent(image)
    upright, mode = decoding == "upright", MODES.get(channels, "RGB")
    notes = [*_colours(image)]
    if deep:
        notes.append("16 bits scaled to 8" if upright else "pixels above 255 cut off")
    if clear and mode != "RGBA":
        notes.append("transparency laid on white" if upright else "transparency dropped")
    if turn is not None:
        done = "turned upright" if upright else "not turned upright"
        notes.append(f"{done} (EXIF orientation {orientation})")
    if not upright:
        return image.convert(mode), tuple(notes)
    if deep:
        image = _deep_grey(image)
    elif clear and mode != "RGBA":
        image = _on_white(image)
    made = image.convert(mode)
    return made if turn is None else made.transpose(turn), tuple(notes)


def turned(image: Image.Image) -> Image.Image:
    """A loaded image upright, its pixels as they are stored."""
    turn = _UPRIGHT.get(_orientation(image))
    return image.copy() if turn is None else image.transpose(turn)


def turned_back(picture: Image.Image, image: Image.Image) -> Image.Image:
    """An upright picture (a mask, say) as the image that it belongs to is stored."""
    turn = _UPRIGHT.get(_orientation(image))
    return picture if turn is None else picture.transpose(_BACK.get(turn, turn))


def _transparent(image: Image.Image) -> bool:
    """Whether some pixel is, which the mode alone does not say."""
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return int(lowest) < 255  # type: ignore[arg-type]


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    rgb = Image.new("RGB", image.size, "white")
    rgb.paste(rgba, mask=rgba.getchannel("A"))
    return rgb


def _colours(image: Image.Image) -> list[str]:
    """What is done to colours either way."""
    notes = (
        [f"converted from {image.mode}"] if image.mode in ("CMYK", "YCbCr", "LAB", "HSV") else []
    )
    profile = image.info.get("icc_profile")
    if profile:
        try:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(opened).strip()
        except Exception:  # a broken profile must not cost the picture
            name = "unreadable"
        if "srgb" not in name.casefold():
            shown = "".join(c for c in name if c.isprintable())[:40]
            notes.append(f"colour profile not applied ({shown})")
    return notes


def _deep_grey(image: Image.Image) -> Image.Image:
    """8-bit RGB from grey pixels of more than 8 bits, which Pillow would clip at 255."""
    tags: Any = getattr(image, "tag_v2", {})
    top = 4095 if tags.get(258) == (12,) else 65535
    grey: np.ndarray[Any, np.dtype[Any]] = np.asarray(image)
    lowest, highest = grey.min(), grey.max()
    if image.mode == "F":
        if not (lowest >= 0 and highest <= 1):  # also refuses NaN
            raise ImageError(
                f"Float pixels must lie in 0..1, and these go from {lowest:g} to {highest:g}. "
                "Save the image with 8 bits a channel."
            )
        levels = np.rint(grey * np.float32(255))
    else:
        if lowest < 0 or highest > top:
            raise ImageError(
                f"Integer pixels must lie in 0..{top}, and these go from {lowest} to {highest}. "
                "Save the image with 8 bits a channel."
            )
        levels = (grey.astype(np.uint32) * 255 + top // 2) // top
    if tags.get(262) == 0:  # "white is zero", which Pillow undoes only up to 8 bits
        levels = 255 - levels
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where the metadata cannot be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken metadata must not cost the picture
        return 1
    return orientation if isinstance(orientation, int) else 1
