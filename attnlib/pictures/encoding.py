"""Pictures as bytes of a file, and as addresses that need no file."""

import base64
import io
from typing import Any

from PIL import Image


def png_bytes(picture: Image.Image, level: int = 1) -> bytes:
    """The picture as PNG, lossless. `level` is zlib's: 0 is none, 1 fast, 9 small."""
    return _encoded(picture, "PNG", compress_level=level)


def jpeg_bytes(picture: Image.Image, quality: int = 90) -> bytes:
    """The picture as JPEG, lossy but with full colour resolution, so that cells stay sharp."""
    return _encoded(picture.convert("RGB"), "JPEG", quality=quality, subsampling=0)


def data_uri(content: bytes, mime: str) -> str:
    """The bytes as a `data:` address, for pages that load nothing from elsewhere."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
