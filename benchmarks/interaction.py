"""How long a visitor waits: from a change of a control to the repainted picture.

    python -m benchmarks.interaction

Starts the app, drives it with Chromium, and prints the median and the worst of several rounds.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from playwright.sync_api import Locator, Page, sync_playwright

REACH_MS = {
    "first picture": 2000,
    "layer": 300,
    "head": 300,
    "method": 300,
    "colours": 200,
    "patch": 250,
    "step": 250,
}
PICTURES = "[data-testid=stMain] [data-testid=stImage] img"
SOURCES = f"[...document.querySelectorAll('{PICTURES}')].map(i => i.src).join()"


def repainted(page: Page, act: Callable[[], None]) -> float:
    """Milliseconds from an action until the pictures differ and have loaded."""
    before = page.evaluate(SOURCES)
    start = time.perf_counter()
    act()
    page.wait_for_function(
        f"before => {SOURCES} !== before && "
        f"[...document.querySelectorAll('{PICTURES}')].every(i => i.complete)",
        arg=before,
        polling="raf",
    )
    return 1000 * (time.perf_counter() - start)


def choose(page: Page, label: str, option: str) -> float:
    """Open a select box by its label, then time the choice of an option."""
    box = page.locator("[data-testid=stMain] [data-testid=stSelectbox]").filter(has_text=label)
    box.first.locator("input").click()
    page.wait_for_timeout(300)
    item = page.get_by_role("option", name=option, exact=True)
    item.wait_for()
    return repainted(page, item.click)


def measure(url: str, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in REACH_MS}
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        for round_ in range(rounds + 1):
            page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
            start = time.perf_counter()
            page.goto(url, wait_until="commit")
            page.wait_for_selector(PICTURES)
            if round_:  # The first visitor also warms the server.
                times["first picture"].append(1000 * (time.perf_counter() - start))
            page.context.close()
        page = browser.new_context(viewport={"width": 1440, "height": 1400}).new_page()
        page.goto(url)
        page.locator("[data-testid=stMain] button:has-text('Open')").first.click()
        page.get_by_text("capture checked").wait_for()
        methods = ["Attention rollout", "Gradient-weighted relevance"]
        for round_ in range(rounds):
            times["method"].append(choose(page, "Method", methods[round_ % 2]))
        choose(page, "Method", "Raw attention")
        for round_ in range(rounds):
            times["layer"].append(choose(page, "Layer", str(round_ % 5)))
            times["head"].append(choose(page, "Head", str(round_ % 4)))
        page.get_by_text("How it is drawn").click()
        page.wait_for_timeout(1000)  # The expander opens with an animation.
        for round_ in range(rounds):
            times["colours"].append(choose(page, "Colours", ["viridis", "magma"][round_ % 2]))
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
        browser.close()
    return times


def click(patches: Locator, round_: int) -> None:
    """Click on a patch of the demo's 8 x 8, another one each round."""
    box = patches.bounding_box()
    assert box is not None
    row, col = round_ * 3 % 8, round_ * 5 % 8
    x, y = (col + 0.5) / 8 * box["width"], (row + 0.5) / 8 * box["height"]
    patches.click(position={"x": x, "y": y})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    server = subprocess.Popen([*command, f"--server.port={port}"], stdout=subprocess.DEVNULL)
    url = f"http://localhost:{port}"
    try:
        for _ in range(120):
            with suppress(OSError):
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2)
                break
            time.sleep(0.5)
        times = measure(url, args.rounds)
    finally:
        server.terminate()
    print("| change | median, ms | worst, ms | to reach, ms |")
    print("|---|---:|---:|---:|")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"| {name} | {median:.0f} | {max(found):.0f} | {REACH_MS[name]} |")


if __name__ == "__main__":
    main()
