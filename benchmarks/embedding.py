"""Frame times of the map of images with many dots, beside the same scatter in Altair.

    python -m benchmarks.embedding

A browser without a frame limit moves a pointer over both, and drags: a lasso over ours, a
rectangle over Altair's, which has no lasso. The wheel enlarges ours, which draws all dots anew; a
chart in which a rectangle is drawn has no wheel. A frame lasts from the event until it is painted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

SCRIPT = """
import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from attnlib.dashboard.parts.scatter import Colouring, Dots, Entry, scatter

N = int(st.query_params.get("n", 10_000))
rng = np.random.default_rng(0)
centres = rng.random((10, 2)) * 0.8 + 0.1
of = rng.integers(0, 10, N)
points = np.clip(centres[of] + rng.normal(size=(N, 2)) * 0.05, 0, 1)
wrong = (rng.random(N) < 0.2).astype(np.uint8)
names = [f"image-{i:05d}.jpg" for i in range(N)]
if st.query_params.get("way") == "ours":
    palette = [Entry("right", 0), Entry("wrong", 4, 1)]
    dots = Dots("all", points, (1.0, 1.0), names, ["cat, 87% sure"] * N,
                Colouring(wrong, palette, "Outcome"), wrong, [])
    nothing = lambda found: None
    scatter(dots, key="dots", alt="dots", on_open=nothing, on_lasso=nothing, on_sheet=nothing,
            per_sheet=64, tile=48, width=1000)
else:
    frame = pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "name": names,
                          "outcome": np.where(wrong, "wrong", "right")})
    brush = alt.selection_interval(name="brush")
    chart = alt.Chart(frame).mark_point(filled=True, size=30).encode(
        alt.X("x:Q", axis=None), alt.Y("y:Q", axis=None), alt.Color("outcome:N"),
        alt.Shape("outcome:N"), tooltip=["name", "outcome"],
        opacity=alt.condition(brush, alt.value(1), alt.value(0.2)),
    ).add_params(brush)
    st.altair_chart(chart, width=1000, height=500)
st.write("drawn")
"""
CANVAS = {"ours": "canvas.hand", "Altair": "[data-testid=stVegaLiteChart] canvas"}
# Each of these movements of the pointer is one frame.
MOVES = """
async ([canvas, shares, deltaY]) => {
  const times = []
  for (const [u, v] of shares) {
    const box = canvas.getBoundingClientRect()
    const at = { clientX: box.left + u * box.width, clientY: box.top + v * box.height,
                 bubbles: true, pointerId: 1, pointerType: "mouse", buttons: 0 }
    const began = performance.now()
    canvas.dispatchEvent(new PointerEvent("pointermove", at))
    canvas.dispatchEvent(new MouseEvent("mousemove", at))
    if (deltaY) canvas.dispatchEvent(new WheelEvent("wheel", { ...at, deltaY, cancelable: true }))
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
    times.push(performance.now() - began)
  }
  return times
}
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-frame-rate-limit", "--disable-gpu-vsync"]


def path(frames: int) -> list[tuple[float, float]]:
    """A zigzag over the middle of the plane, in shares of its width and height."""
    return [(0.3 + 0.4 * i / frames, 0.35 + 0.3 * (i * 7 % 10) / 10) for i in range(frames)]


def times(page: Page, canvas: Locator, frames: int) -> dict[str, list[float]]:
    """Milliseconds of each frame of hovering and of dragging."""
    element = canvas.element_handle()
    assert element is not None
    box = element.bounding_box()
    assert box is not None
    hover: list[float] = page.evaluate(MOVES, [element, path(frames), 0])
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    drag: list[float] = page.evaluate(MOVES, [element, path(frames), 0])
    page.mouse.up()
    page.wait_for_timeout(1000)
    zoom: list[float] = page.evaluate(MOVES, [element, path(frames), -5])
    return {"hover": hover, "drag": drag, "wheel": zoom}


def measure(url: str, n: int, frames: int, rounds: int) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for _ in range(rounds):
            for way, place in CANVAS.items():
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(f"{url}/?way={way}&n={n}")
                canvas = page.locator(place).first
                canvas.wait_for(timeout=90_000)
                page.wait_for_timeout(4000)
                for act, listed in times(page, canvas, frames).items():
                    found.setdefault((act, way), []).extend(listed)
                page.close()
        browser.close()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    from tests.dashboard.browsing import serving

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="number of dots")
    parser.add_argument("--frames", type=int, default=40, help="movements a round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(SCRIPT)
        with serving([sys.executable, "-m", "streamlit", "run", str(script)]) as url:
            found = measure(url, args.n, args.frames, args.rounds)
    print(f"| {args.n:,} dots | ours, ms | Altair, ms | ratio of medians |\n|---|---:|---:|---:|")
    for act in ("hover", "drag", "wheel"):
        ours, theirs = (statistics.median(found[act, way]) for way in CANVAS)
        beside = f"{theirs:.1f} | {ours / theirs:.3f}" if act != "wheel" else "– | –"
        print(f"| {act} | {ours:.1f} | {beside} |")


if __name__ == "__main__":
    main()
