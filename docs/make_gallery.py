"""Draw every method on one mistake of the demo model, as docs/gallery.png.

python -m docs.make_gallery
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import attnlib
from attnlib.data.image import decode
from attnlib.model import demo
from attnlib.pictures.overlay import enlarge

PLACE = Path(__file__).with_name("gallery.png")
NAME = "cifar10-test-2309.png"
SIDE, ACROSS, TEXT, GAP = 176, 6, 40, 12


def draw() -> Image.Image:
    """The crop, then one map for each method, with its title below."""
    vit = attnlib.load("demo", device="cpu")
    found = next(image for image in demo.images() if image.name == NAME)
    image = decode(found.data)
    record = vit.inspect(image)
    true = vit.class_names.index(str(found.label))
    predicted = vit.class_names[record.predicted]
    tiles = [(enlarge(vit.crop(image), (SIDE, SIDE)), f"{found.label}, taken for {predicted}")]
    for name, method in attnlib.methods().items():
        options = {"against": true} if "against" in method.options else {}
        heat = vit.attribute(image, name, **options)
        tiles.append((heat.overlay(side=SIDE), method.title))
    down = -(-len(tiles) // ACROSS)
    size = (ACROSS * (SIDE + GAP) + GAP, down * (SIDE + TEXT) + GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for i, (tile, title) in enumerate(tiles):
        left, top = GAP + i % ACROSS * (SIDE + GAP), GAP + i // ACROSS * (SIDE + TEXT)
        sheet.paste(tile, (left, top))
        pen.text((left, top + SIDE + 4), title, fill="#17212b", font=font)
    return sheet


if __name__ == "__main__":
    draw().save(PLACE, optimize=True)
