"""The header of a safetensors file: read within bounds, and refused where it names what we lack."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO, Final

from attnlib.errors import ModelError

# The header of a model with 10 000 tensors has 1 MB; as Python's objects it takes ten times that.
LIMIT: Final = 16 << 20
# Numbers that are nothing without scales that stand elsewhere, or that PyTorch cannot hold.
_PACKED: Final = ("F4", "F6_", "F8_E8M0")


def metadata(stream: BinaryIO, name: str) -> dict[str, Any]:
    """What a safetensors file says about itself: texts, which are JSON where they hold more.

    Raises:
        ModelError: the header is too large, or no header; or its tensors are of a kind that is
            not read here.
    """
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > LIMIT:
        raise ModelError(
            f"The header of {name}, which describes its tensors, is larger than {LIMIT >> 20} MB, "
            "and no model needs that: save its weights alone."
        )
    try:
        header = json.loads(stream.read(length))
    except (ValueError, RecursionError) as error:
        raise _broken(name) from error
    if not isinstance(header, dict):
        raise _broken(name)
    texts = header.pop("__metadata__", None) or {}
    if not isinstance(texts, dict):
        raise _broken(name)
    for tensor, about in header.items():
        kind = about.get("dtype") if isinstance(about, Mapping) else None
        if not isinstance(kind, str):
            raise _broken(name)
        if kind.startswith(_PACKED):
            raise ModelError(
                f"{name} holds numbers of the kind {kind[:20]} ({tensor[:60]}): quantised, they "
                "are no weights without their scales. Save the weights in floating point, as "
                "float32 or bfloat16."
            )
    found: dict[str, Any] = dict(texts)
    for key, text in texts.items():
        with suppress(ValueError, TypeError, RecursionError):
            found[key] = json.loads(text)
    return found


def _broken(name: str) -> ModelError:
    return ModelError(
        f"{name} is not a readable safetensors file: its header is damaged. Copy or save it again."
    )
