"""Which image format some bytes are, told by the bytes themselves."""

from __future__ import annotations

import functools
import importlib.util
from typing import Final

from PIL import Image, features

from attnlib.errors import ImageError

# Enough to see through an XML prologue or a comment in front of <svg>.
HEAD_BYTES: Final = 1024

# What this installation decodes: Pillow's wheels have AVIF built in, some builds of Linux
# distributions do not, and HEIC needs a wheel of its own.
FORMATS: Final = (
    *("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF"),
    *(("AVIF",) if features.check("avif") else ()),
    *(("HEIC",) if importlib.util.find_spec("pillow_heif") else ()),
)

_READABLE = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
# Brands of the ISO media file format. "mif1" alone is any HEIF, which phones fill with HEVC.
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_INSTALL = {
    "AVIF": "this build of Pillow does not decode: install Pillow's own wheel (pip install pillow)",
    "HEIC": "is decoded where pillow-heif is installed: pip install pillow-heif",
}


def sniff(head: bytes) -> str:
    """The format, one of FORMATS, told from the first HEAD_BYTES bytes, never from a name.

    Raises:
        ImageError: it is none of them; the message names what the file is where that is known.
    """
    if not head:
        raise ImageError("The file is empty (0 bytes): save or download it again.")
    kind = _kind(head)
    if kind in FORMATS:
        return kind
    if kind in _INSTALL:
        raise ImageError(
            f"This is an {kind} file, which {_INSTALL[kind]}. Or save the image as a JPEG or PNG."
        )
    raise ImageError(
        f"This is {_describe(head)}, not an image format we read ({', '.join(FORMATS)})."
    )


def opener(kind: str) -> str:
    """Pillow's name of a format, whose opener is there from then on."""
    if kind == "HEIC":
        _register_heic()
        return "HEIF"
    return kind


@functools.cache
def _register_heic() -> None:
    import pillow_heif  # an optional wheel, and slow to import

    pillow_heif.register_heif_opener(thumbnails=False)
    Image.init()


def _kind(head: bytes) -> str:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return _media(head)
    return next((kind for magic, kind in _READABLE if head.startswith(magic)), "")


def _media(head: bytes) -> str:
    """AVIF or HEIC by the brands in the first box: the main one, and those it is compatible with.

    The box begins with its size and "ftyp", and has a version number after the main brand.
    """
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))}
    if brands & _AVIF:
        return "AVIF"
    return "HEIC" if brands & _HEIC else ""


def _describe(head: bytes) -> str:
    """A name for what is not an image that we read."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!")) and b"<svg" in text):
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page (perhaps an error page instead of a download)"
    if head[4:8] == b"ftyp":
        return "a video file"
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith(b"PK\x03\x04"):
        return "a zip file"
    return "some other kind of file"
