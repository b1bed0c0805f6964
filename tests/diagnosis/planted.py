"""The demo images and their labels, by name."""

from __future__ import annotations

import io

from PIL import Image

from attnlib.model import demo


def demo_images(count: int = 80) -> dict[str, Image.Image]:
    """The first demo images by name."""
    return {
        one.name: Image.open(io.BytesIO(one.data)).convert("RGB") for one in demo.images()[:count]
    }


def demo_labels() -> dict[str, int | str]:
    """Their class names."""
    return {one.name: one.label for one in demo.images()}
