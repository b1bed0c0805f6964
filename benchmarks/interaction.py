"""How long a visitor waits: from a change of a control to the repainted picture.

    python -m benchmarks.interaction [--only controls|loop|slow]

Starts the app, drives it with Chromium, and prints the median and the worst of several rounds:
the controls of the pages; the loop of looking, opening, judging and going on, with 80 images and
with 5,000; and the first own photographs with a slow model (ViT-B/16 with random weights).
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request

from attnlib.model import demo
from benchmarks.browsing import chromium, repainted, until, visitor
from tests.dashboard.browsing import PHOTOGRAPHS, serving

Times = dict[str, list[float]]
REACH_MS = {
    "first picture": 2000,
    "layer": 300,
    "head": 300,
    "method": 300,
    "colours": 200,
    "patch": 250,
    "step": 250,
    "open": 300,
    "next": 300,
    "back": 300,
    "filter": 300,
    "tag": 300,
    "first own card": 2000,
}
MANY = 5000
SLOW = "?source=random&random_model=vit_base_patch16_224"


def choose(page: Page, label: str, option: str) -> float:
    """Open a select box by its label, then time the choice of an option."""
    box = page.locator("[data-testid=stMain] [data-testid=stSelectbox]").filter(has_text=label)
    box.first.locator("input").click()
    page.wait_for_timeout(300)
    item = page.get_by_role("option", name=option, exact=True)
    item.wait_for()
    return repainted(page, item.click)


def controls(browser: Browser, url: str, rounds: int) -> Times:
    """The controls of the pages, on the demo."""
    names = ("first picture", "layer", "head", "method", "colours", "patch", "step")
    times: Times = {name: [] for name in names}
    for round_ in range(rounds + 1):
        page = visitor(browser)
        start = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function("() => window.main() && window.pictures().length && window.loaded()")
        if round_:  # The first visitor also warms the server.
            times["first picture"].append(1000 * (time.perf_counter() - start))
        page.context.close()
    page = visitor(browser, 1400)
    page.goto(f"{url}/?image={demo.images()[3].name}")
    page.get_by_text("capture checked").first.wait_for()
    page.wait_for_timeout(2000)
    methods = ["Attention rollout", "Gradient-weighted relevance"]
    for round_ in range(rounds):
        times["method"].append(choose(page, "Method", methods[round_ % 2]))
    choose(page, "Method", "Raw attention")
    for round_ in range(rounds):
        times["layer"].append(choose(page, "Layer", str(round_ % 5)))
        times["head"].append(choose(page, "Head", str(round_ % 4)))
    page.get_by_role("button", name="Drawing").click()
    page.wait_for_timeout(1000)
    # Its controls lie over the page, not in it.
    box = page.locator("[data-testid=stSelectbox]").filter(has_text="Colours").first
    for round_ in range(rounds):
        box.locator("input").click()
        page.wait_for_timeout(300)
        item = page.get_by_role("option", name=["viridis", "magma"][round_ % 2], exact=True)
        item.wait_for()
        times["colours"].append(repainted(page, item.click))
    page.goto(f"{url}/cls-attention")
    patches = page.locator("canvas").first
    patches.wait_for()
    page.wait_for_timeout(3000)
    for round_ in range(rounds):
        times["patch"].append(repainted(page, lambda at=round_: click(patches, at)))  # type: ignore[misc]
    page.goto(f"{url}/attention-walkthrough")
    page.get_by_text("Step 1 of").wait_for()
    for round_ in range(rounds):
        button = page.get_by_role("button", name=["Next", "Back"][round_ % 2]).last
        start = time.perf_counter()
        button.click()
        page.get_by_text(f"Step {2 - round_ % 2} of").wait_for()
        page.locator("canvas").nth(1).wait_for()
        times["step"].append(1000 * (time.perf_counter() - start))
    page.context.close()
    return times


def click(patches: Locator, round_: int) -> None:
    """Click on a patch of the demo's 8 x 8, another one each round."""
    box = patches.bounding_box()
    assert box is not None
    row, col = round_ * 3 % 8, round_ * 5 % 8
    x, y = (col + 0.5) / 8 * box["width"], (row + 0.5) / 8 * box["height"]
    patches.click(position={"x": x, "y": y})


# The tags that the strip shows.
CHIPS = """document.querySelectorAll(
  "[data-testid=stMain] span[style*='border-radius:1rem']").length"""


def loop(page: Page, rounds: int) -> Times:
    """Look, open, judge, next, back, filter; the gallery is there and has settled."""
    times: Times = {name: [] for name in ("open", "next", "back", "filter", "tag")}
    opened = "window.card('case', 0) === arg"
    for round_ in range(rounds):
        name = page.evaluate("i => window.card('cards', i)", round_ % 3)
        card = page.locator(f"[data-testid=stMain] article[data-name='{name}']")
        times["open"].append(until(page, opened, card.click, name))
        page.wait_for_timeout(700)  # A person looks at it; the next one's maps are made meanwhile.
        times["next"].append(
            until(
                page,
                "window.card('case', 0) && window.card('case', 0) !== arg",
                lambda: page.keyboard.press("ArrowRight"),
                name,
            )
        )
        page.wait_for_timeout(700)
        tag = page.get_by_test_id("stButtonGroup").get_by_text("ambiguous", exact=True).first
        before = page.evaluate(CHIPS)
        times["tag"].append(until(page, f"{CHIPS} !== arg", tag.click, before))
        # Off again: the next image has none either.
        until(page, f"{CHIPS} === arg", tag.click, before)
        page.wait_for_timeout(700)
        gallery = "window.card('cards', 0)"
        times["back"].append(until(page, gallery, lambda: page.keyboard.press("Escape")))
        page.wait_for_timeout(1500)
        other = ["Right", "Wrong"]
        for kind in other:
            first = page.evaluate("() => window.card('cards', 0)")
            segment = page.locator("[data-testid=stMain]").get_by_text(kind, exact=True).first
            taken = until(
                page,
                "window.card('cards', 0) && window.card('cards', 0) !== arg",
                segment.click,
                first,
            )
            times["filter"].append(taken)
            page.wait_for_timeout(1500)
    return times


def many(count: int) -> bytes:
    """A zip of folders with the demo's images, each a little different."""
    rng, out = np.random.default_rng(0), io.BytesIO()
    photographs = [
        (image.label, np.asarray(Image.open(io.BytesIO(image.data)).convert("RGB"), np.int16))
        for image in demo.images()
    ]
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(count):
            label, pixels = photographs[i % len(photographs)]
            noisy = (pixels + rng.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(noisy).save(file, "JPEG")
            archive.writestr(f"{label}/{i:05d}.jpg", file.getvalue())
    return out.getvalue()


def upload(page: Page, name: str, kind: str, data: bytes) -> None:
    page.locator("[data-testid=stSidebar] input[type=file]").last.set_input_files(
        {"name": name, "mimeType": kind, "buffer": data}
    )


def loops(browser: Browser, url: str, rounds: int) -> Iterator[tuple[str, Times]]:
    """The loop with the demo's 80 images, then with 5,000 own ones."""
    page = visitor(browser)
    page.goto(url)
    page.get_by_text("80 images").first.wait_for()
    page.get_by_text("Inspecting:").first.wait_for(state="hidden")
    page.wait_for_timeout(3000)
    yield "80 images", loop(page, rounds)
    page.context.close()
    page = visitor(browser)
    page.goto(url)
    page.get_by_text("80 images").wait_for()
    upload(page, "set.zip", "application/zip", many(MANY))
    page.get_by_text(f"of {MANY} images").first.wait_for()
    page.get_by_text("Inspecting:").first.wait_for(state="hidden", timeout=900_000)
    page.wait_for_timeout(5000)
    yield f"{MANY} images", loop(page, rounds)
    page.context.close()


def arrivals(page: Page) -> list[float]:
    """Now, and when each file that is uploaded from now on has arrived at the server."""
    found = [time.perf_counter()]

    def note(request: Request) -> None:
        if "upload_file" in request.url:
            found.append(time.perf_counter())

    page.on("requestfinished", note)
    return found


def slow(browser: Browser, url: str, rounds: int) -> tuple[Times, list[float]]:
    """Own photographs with a slow model: the first card; and clicks while maps are made."""
    rng = np.random.default_rng(0)
    photographs = []
    for i in range(24):
        rough = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(rough).resize((1600, 1200)).save(file, "JPEG")
        photographs.append((f"photo{i:02d}.jpg", file.getvalue()))
    first: list[float] = []
    clicks: list[float] = []
    for round_ in range(max(2, rounds // 3)):
        page = visitor(browser)
        page.goto(f"{url}/{SLOW}")
        page.get_by_text("14 × 14 patches").wait_for()
        page.wait_for_function("() => window.main() && window.pictures().length")
        files = [
            {"name": f"{round_}-{name}", "mimeType": "image/jpeg", "buffer": data + bytes([round_])}
            for name, data in photographs
        ]
        box = page.locator("[data-testid=stSidebar] input[type=file]").last
        arrived = arrivals(page)
        box.set_input_files(files)  # type: ignore[arg-type]
        page.wait_for_function(
            "start => (window.card('cards', 0) || '').startsWith(start)", arg=f"{round_}-photo"
        )
        first.append(1000 * (time.perf_counter() - arrived[-1]))
        for kind, density in (("Grid", "grid"), ("Cards", "cards")) * 3:
            item = page.locator("[data-testid=stMain]").get_by_text(kind, exact=True).first
            arg = density
            clicks.append(until(page, "window.card(arg, 0)", item.click, arg))
            page.wait_for_timeout(400)
        page.context.close()
    return {"first own card": first}, clicks


def table(times: Times, factor: float = 1.0) -> None:
    """Print one table."""
    print("| change | median, ms | worst, ms | to reach, ms |")
    print("|---|---:|---:|---:|")
    for name, found in times.items():
        median, reach = statistics.median(found), REACH_MS[name] * factor
        print(f"| {name} | {median:.0f} | {max(found):.0f} | {reach:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", choices=["controls", "loop", "slow"])
    args = parser.parse_args()
    parts: dict[str, Callable[[Browser, str], None]] = {
        "controls": lambda browser, url: table(controls(browser, url, args.rounds)),
        "loop": lambda browser, url: _loops(loops(browser, url, args.rounds)),
        "slow": lambda browser, url: _slow(*slow(browser, url, args.rounds)),
    }
    for name, part in parts.items():
        if args.only in (None, name):
            print(f"\n## {name}\n")
            with serving(environment=PHOTOGRAPHS) as url, chromium() as browser:
                part(browser, url)


def _loops(found: Iterator[tuple[str, Times]]) -> None:
    for name, times in found:
        print(f"\n{name}\n", flush=True)
        table(times, 1.0 if name.startswith("80") else 500 / 300)


def _slow(times: Times, clicks: list[float]) -> None:
    table(times)
    print(
        f"\nClicks while 24 photographs are inspected and their maps made: median "
        f"{statistics.median(clicks):.0f} ms, worst {max(clicks):.0f} ms."
    )


if __name__ == "__main__":
    main()
