"""Bytes to a safe image: every limit on hostile image files lives here.

ICC colour profiles are ignored, as the training pipelines of timm and torchvision ignore them:
the model must see the numbers it would have been trained on.
"""

import hashlib
import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from attnlib.data.conversion import DECODINGS as DECODINGS
from attnlib.data.conversion import MODES as MODES
from attnlib.data.conversion import Decoding as Decoding
from attnlib.data.conversion import converted, turned, turned_back
from attnlib.data.formats import FORMATS as FORMATS
from attnlib.data.formats import HEAD_BYTES as HEAD_BYTES
from attnlib.data.formats import opener
from attnlib.data.formats import sniff as sniff
from attnlib.errors import ImageError

# What a model does to an image before it sees it: the model's input (3, h, w).
Transform = Callable[[Image.Image], Tensor]

# Phone and camera files stay below 40 MiB; more than this is not a photograph for a ViT.
MAX_BYTES: Final = 64 * 2**20
# Pillow keeps RGB at 4 bytes a pixel: this is 256 MB, and above every full-frame camera (61 Mpx).
MAX_PIXELS: Final = 64_000_000
# Half of one ViT patch of 16 pixels: anything smaller shows the model only interpolation.
MIN_SIDE: Final = 8
# A centre crop of a longer strip would show less than 1/32 of it.
MAX_ASPECT: Final = 32
# Progressive JPEGs have about 10 scans. Each costs up to 55 ms at MAX_PIXELS but only 100 bytes
# of file, so a small file could otherwise hold a processor for hours.
MAX_JPEG_SCANS: Final = 100
# One number for each strip or tile is enough for real files. Python unpacks tags into objects:
# 8 million numbers (32 MB of file) took 58 s and 2 GB.
MAX_TIFF_VALUES: Final = 2**19
_TIFF_BYTE_TYPES = {1, 2, 6, 7}  # kept as one bytes object, so they cost no more than the file
_TIFF_DIRECTORY_TAGS = {330, 34665, 34853, 40965}  # sub-images, EXIF, GPS, interoperability
_START_OF_SCAN = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e][\x01-\x04]")


def sha256(data: bytes) -> str:
    """The SHA-256 of the bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def check(data: bytes) -> None:
    """Check the format, the file's size and the header's width and height; decode no pixel.

    Raises ImageError.
    """
    _open(data).close()


@dataclass(frozen=True)
class Decoded:
    """A picture, and what was done to what its file stores, each in a few words.

    Attributes:
        picture: 8 bits a channel, loaded; no metadata is kept.
        notes: "turned upright (EXIF orientation 6)", for one.
    """

    picture: Image.Image
    notes: tuple[str, ...] = ()


def read(data: bytes, decoding: Decoding = "upright", channels: int = 3) -> Decoded:
    """:func:`decode`, with what was done to the picture."""
    with _open(data) as image:
        try:
            image.load()
            picture, notes = converted(image, decoding, channels)
        except ImageError:
            raise
        except Exception as error:
            raise unreadable(image.format, error) from error
    picture.info = {}  # Pillow would write a kept ICC profile into every copy saved later
    return Decoded(picture, notes)


def decode(data: bytes, decoding: Decoding = "upright", channels: int = 3) -> Image.Image:
    """The picture as a loaded "RGB" image of (width, height), 8 bits a channel.

    The first frame of an animation. Upright, transparency is laid on white and 16-bit grey is
    scaled by 1/257; integer pixels must lie in 0..65535 and float pixels in 0..1, and are refused
    otherwise, since a guessed scale would silently change what the model sees. No metadata is
    kept.

    Args:
        decoding: ``"upright"``, or ``"as loaded"`` by ``Image.open(file).convert("RGB")``, which
            is what torchvision's loader and most evaluations do.
        channels: of the model that is to see it: 1 for grey, "L"; 4 for "RGBA", where opacity is
            kept and nothing is laid on white; "RGB" for any other number.

    Raises:
        ImageError: and nothing else, on any bytes.
    """
    return read(data, decoding, channels).picture


def upright(data: bytes) -> Image.Image:
    """The picture upright, in the mode and with the numbers that its file stores.

    Raises:
        ImageError: and nothing else, on any bytes.
    """
    with _open(data) as image:
        try:
            image.load()
            return turned(image)
        except Exception as error:
            raise unreadable(image.format, error) from error


def as_stored(mask: NDArray[np.bool_], data: bytes) -> NDArray[np.bool_]:
    """A mask of an upright image, ``(height, width)``, turned as the image is stored.

    Raises:
        ImageError: as :func:`check`.
    """
    with _open(data) as image:
        return np.asarray(turned_back(Image.fromarray(mask), image))


def _open(data: bytes) -> Image.Image:
    """The image with its header parsed and within the limits, its pixels not yet decoded."""
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The file is too large: {len(data) / 2**20:.0f} MiB, and the limit is "
            f"{MAX_BYTES // 2**20} MiB. Save a smaller copy."
        )
    kind = sniff(data[:HEAD_BYTES])
    if kind == "JPEG" and sum(1 for _ in _START_OF_SCAN.finditer(data)) > MAX_JPEG_SCANS:
        raise ImageError(f"The JPEG has more than {MAX_JPEG_SCANS} scans: save it again as a PNG.")
    if kind == "TIFF":
        _check_tiff_directories(data)
    try:
        # One named format: no other parser of Pillow's ever sees these bytes.
        image = Image.open(io.BytesIO(data), formats=(opener(kind),))
    except Exception as error:
        raise unreadable(kind, error) from error
    _check_size(*image.size)
    return image


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"The image has too many pixels: {width} x {height}, and the limit is "
            f"{MAX_PIXELS // 10**6} million. Resize it."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The image is too small: {width} x {height} pixels, and each side needs {MIN_SIDE}."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The image is too narrow: {width} x {height} pixels, and the longer side may be at "
            f"most {MAX_ASPECT} times the shorter. Crop it."
        )


def _check_tiff_directories(data: bytes) -> None:
    """Refuse tags with absurdly many numbers before Pillow unpacks them."""
    order = ">" if data[:1] == b"M" else "<"
    big = b"+" in data[2:4]
    start = struct.Struct(order + ("Q" if big else "I"))
    length = struct.Struct(order + ("Q" if big else "H"))
    entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
    values = 0
    try:
        pending, seen = [start.unpack_from(data, 8 if big else 4)[0]], set()
        while pending:
            offset = pending.pop()
            if offset in seen:
                continue
            seen.add(offset)
            (entries,) = length.unpack_from(data, offset)
            offset += length.size
            for at in range(offset, offset + entries * entry.size, entry.size):
                tag, kind, count, value = entry.unpack_from(data, at)
                values += 1 if kind in _TIFF_BYTE_TYPES else count
                if values > MAX_TIFF_VALUES:
                    raise ImageError(
                        f"The TIFF has more than {MAX_TIFF_VALUES} tag values: "
                        "save it again, or as a PNG."
                    )
                if tag in _TIFF_DIRECTORY_TAGS and count == 1:
                    pending.append(value)
    except (struct.error, OverflowError):
        return  # a directory outside the file: Pillow gives the reason or reads what is there


def unreadable(kind: str | None, error: Exception) -> ImageError:
    """What to tell the person; hostile bytes make Pillow raise nearly every built-in exception."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return ImageError(
            f"The image has too many pixels: the limit is {MAX_PIXELS // 10**6} million. Resize it."
        )
    if isinstance(error, MemoryError):
        return ImageError("There is not enough memory to decode the image. Resize it.")
    return ImageError(
        f"The {kind} file is damaged, truncated or of an unsupported kind: "
        "save or download it again, or convert it to PNG."
    )
