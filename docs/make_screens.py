"""Photograph every view of every page, wide and narrow, light and dark, and say what is cut.

    python -m docs.make_screens FOLDER [--only WORDS] [--widths 390,900] [--themes dark]

Each view of `tests.dashboard.scenes.SCENES` is opened by its link in a browser of its own. What is
cut off is printed and written to FOLDER/cut.txt. All views take about twenty minutes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from attnlib.dashboard.parts.places import Places
from tests.dashboard import browsing
from tests.dashboard.scenes import IMAGE, SCENES, scene

WIDTHS = (1440, 900, 390)
THEMES = ("light", "dark")
TALLEST = 8000  # pixels of one picture
# Without a script that runs, a progress bar or a part that is still empty, for a second.
IDLE = """() => {
  const busy = '[data-testid=stProgress], [data-testid=stSkeleton], [data-testid=stSpinner]'
  const app = document.querySelector('[data-testid=stApp]')
  const still = app && app.dataset.testScriptState === 'notRunning' && !document.querySelector(busy)
    && document.querySelector('[data-testid=stMain] h1')
    && [...document.images].every((image) => image.complete)
  const now = performance.now()
  if (!still) window.busyAt = now
  return now - (window.busyAt ??= now) > 1000
}"""
HEIGHT = "() => document.querySelector('[data-testid=stMain]').scrollHeight"
# What hides a part of its own text, and what reaches beyond the window where nothing scrolls.
CUT = """() => {
  const found = [], seen = new Set()
  const scrolls = (e) => /auto|scroll/.test(getComputedStyle(e).overflowX)
  const parent = (e) => e.parentElement || e.getRootNode().host
  const inside = (e) => {
    for (let p = parent(e); p && p.dataset.testid !== 'stMain'; p = parent(p)) {
      if (scrolls(p)) return true
    }
    return false
  }
  const say = (what, e) => {
    const text = (e.value || e.innerText || e.getAttribute('aria-label') || e.tagName).trim()
    const line = `${what}: ${text.replace(/\\s+/g, ' ').slice(0, 80)}`
    if (!seen.has(line)) found.push(line)
    seen.add(line)
  }
  const walk = (root) => {
    for (const e of root.querySelectorAll('*')) {
      if (e.shadowRoot) walk(e.shadowRoot)
      const style = getComputedStyle(e), box = e.getBoundingClientRect()
      if (style.visibility === 'hidden' || style.opacity === '0') continue
      // Formulas stand there twice, once for screen readers.
      if (!box.width || !box.height || e.closest('math')) continue
      // What is typed may be longer than its line; what is chosen may not.
      const picked = e.tagName === 'INPUT' && e.role === 'combobox'
      const words = picked ? e.value
        : [...e.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())
      const hides = picked || /hidden|clip/.test(style.overflowX)
      if (words && hides && box.width > 2 && e.scrollWidth > e.clientWidth + 1) say('cut', e)
      // Rows of buttons scroll without a bar; tables and formulas show that they do.
      if (scrolls(e) && e.scrollWidth > e.clientWidth + 1 && e.querySelector('button')
        && !e.closest('[data-testid=stDataFrame]')) say('goes on to the right, unseen', e)
      if (box.right > innerWidth + 1 && !inside(e) && !e.closest('[data-testid=stSidebar]')) {
        say('beyond the window', e)
      }
    }
  }
  walk(document.querySelector('[data-testid=stMain]'))
  return found
}"""


def address(page: str, start: Mapping[str, Any]) -> str:
    """The link of a view, without the server's name."""
    asked = {"image": IMAGE, **start}
    texts = {key: _written(value) for key, value in asked.items() if value is not None}
    return f"{page.replace('_', '-')}?{urlencode(texts)}"


def _written(value: Any) -> str:
    """As the codecs of the controls write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return Places(0).write(value)[0] if isinstance(value, tuple) else str(value)


def photographed(page: Page, url: str, place: Path, width: int) -> list[str]:
    """Write one picture; what is cut in it."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(url)
    page.wait_for_function(IDLE, timeout=180_000, polling=200)
    page.set_viewport_size({"width": width, "height": min(TALLEST, page.evaluate(HEIGHT))})
    # Charts follow the width of their place with a delay.
    page.wait_for_timeout(600)
    page.screenshot(path=place)
    found: list[str] = page.evaluate(CUT)
    return [f"{place.stem}: {line}" for line in found]


def every(
    browser: Browser, url: str, folder: Path, only: str, widths: list[int], themes: list[str]
) -> Iterator[str]:
    """Photograph the views one after the other; what is cut in them."""
    for scheme in themes:
        for name in SCENES:
            if not re.search(only, name):
                continue
            page, start = scene(name)
            context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
            tab = context.new_page()
            for width in widths:
                stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
                place = folder / f"{stem}-{width}-{scheme}.png"
                link = f"{url}/{address(page, start)}"
                try:
                    yield from photographed(tab, link, place, width)
                except Exception as error:
                    yield f"{place.stem}: {str(error).splitlines()[0]}"
            context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="views whose name fits this expression")
    parser.add_argument("--widths", default=",".join(map(str, WIDTHS)))
    parser.add_argument("--themes", default=",".join(THEMES))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    widths, themes = [int(w) for w in args.widths.split(",")], args.themes.split(",")
    with browsing.serving(environment=browsing.PHOTOGRAPHS) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browsing.CHROMIUM, args=browsing.FLAGS)
        lines = []
        for line in every(browser, url, args.folder, args.only, widths, themes):
            print(line, flush=True)
            lines.append(line)
        browser.close()
    (args.folder / "cut.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
