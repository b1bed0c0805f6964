"""Photograph the last step of the tour, as docs/screenshot.png.

python -m docs.make_screenshot
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from docs.make_screens import IDLE
from tests.dashboard import browsing

PLACE = Path(__file__).with_name("screenshot.png")
LINK = "?tour=3&tour_proof=Erase+the+mark"
WIDTH, HEIGHT = 1280, 860
# Of the palette: a photograph of a screen has few, and the file is a fifth.
COLOURS = 255


def photographed() -> Image.Image:
    """The page once all of its maps are there."""
    with browsing.serving() as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browsing.CHROMIUM, args=browsing.FLAGS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"{url}/{LINK}")
        page.wait_for_function(IDLE, timeout=180_000, polling=200)
        picture = page.screenshot()
        browser.close()
    return Image.open(io.BytesIO(picture)).convert("RGB")


if __name__ == "__main__":
    few = Image.Quantize.MAXCOVERAGE  # keeps rare colours, such as those of the mark
    photographed().quantize(COLOURS, few, dither=Image.Dither.NONE).save(PLACE, optimize=True)
