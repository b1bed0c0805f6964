"""Many people at once: does a light click still come at once, and does memory stay?

    python -m benchmarks.load [--before] [--seconds 60] [--images 2000]

Starts the app and visits it over Streamlit's own protocol, without a browser: 16 sessions that
click on layers of attention, and 16 that each start one kind of heavy computation after the other
on images of their own. Every name that reaches a session must be its own. Then images are
uploaded one set after the other, each in a new tab. ``--before`` has passes queue at a plain
semaphore, lets everybody run as many computations as they like, has nothing give way to a click,
and collects garbage after each run.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.protocol import Visitor
from tests.dashboard.browsing import STREAMLIT, serving

SESSIONS, LIGHT = 32, 16
# What a heavy session does: the page with its part open, and the button to press, if any.
COMPARE = "rollout-vs-flow"
JOBS = {
    "faithfulness over a set": (COMPARE, "compare_part=Faithfulness", "Deletion and insertion of"),
    "randomised weights": (COMPARE, "compare_part=Randomised+weights", ""),
    "occlusion and flow": (COMPARE, "", ""),
    "all heads removed": ("head-similarity", "", "Remove every head in turn"),
    "inspection of uploads": ("", "", ""),
    "embedding": ("", "gallery_panel=Map+of+images", ""),
}
LAYERS = 6
BEFORE = """
import contextlib, sys, threading
from attnlib import settings
from attnlib.capture import passes
from attnlib.dashboard.state import drawing, lines, startup, turns
semaphore = threading.BoundedSemaphore(settings.current().concurrent_passes)
class Plain:
    @contextlib.contextmanager
    def place(self, asker):
        with semaphore:
            yield
plain = Plain()
passes._admission = lambda: plain
before = lines.Lines.__init__
lines.Lines.__init__ = lambda self, most: before(self, lambda: 10**6)
turns.Turn.take = turns.Turn.give_way = drawing.Drawing.give_way = lambda self: None
startup.SWITCH_S = sys.getswitchinterval()
from streamlit.web.cli import main
sys.argv[1:] = ["run", *sys.argv[1:], "--runner.postScriptGC=true"]
main()
"""


def picture(rng: np.random.Generator) -> bytes:
    """A PNG that nobody else has."""
    out = io.BytesIO()
    rough = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    rough.resize((48, 48), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def pictures(session: int, first: int, count: int) -> dict[str, bytes]:
    """Images of one session: its number is in their names, and they are no other's."""
    rng = np.random.default_rng([session, first])
    return {f"s{session:02d}x{first + i}.png": picture(rng) for i in range(count)}


@dataclass
class Load:
    """What came of it.

    Attributes:
        clicks: seconds of the light clicks.
        rounds: how often each heavy job was started with new images.
    """

    url: str
    seconds: float
    clicks: list[float] = field(default_factory=list)
    rounds: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)

    def run(self, light: range, heavy: range) -> None:
        """Have all sessions come, then act for the seconds; clicks count once all are there."""
        ready = threading.Barrier(len(light) + len(heavy))
        jobs = list(JOBS)
        threads = [
            *(threading.Thread(target=self._visit, args=(n, "", ready)) for n in light),
            *(
                threading.Thread(target=self._visit, args=(n, jobs[n % len(jobs)], ready))
                for n in heavy
            ),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _visit(self, number: int, job: str, ready: threading.Barrier) -> None:
        try:
            visitor = Visitor(self.url, number)
            if job:
                self._heavy(visitor, job, ready)
            else:
                self._light(visitor, ready)
            self.errors += [f"session {number}, {job or 'light'}: {e}" for e in visitor.errors]
            if visitor.seen != {number}:
                self.mixed.append(f"session {number} saw images of {sorted(visitor.seen)}")
            visitor.close()
        except Exception:
            self.errors.append(f"session {number}, {job or 'light'}: {traceback.format_exc()}")
            ready.abort()

    def _light(self, visitor: Visitor, ready: threading.Barrier) -> None:
        rng, number = random.Random(visitor.number), visitor.number
        visitor.open()
        visitor.upload(pictures(number, 0, 4))
        visitor.open("cls-attention", f"image=s{number:02d}x1.png")
        latest = time.monotonic() + 60
        while time.monotonic() < latest and not visitor.has("selectbox", "Layer"):
            visitor.listen(0.5)
            if not visitor.waits:
                visitor.open("cls-attention", f"image=s{number:02d}x1.png")
        visitor.choose("Layer", "0")
        ready.wait(300)
        end, layer = time.monotonic() + self.seconds, 0
        while time.monotonic() < end:
            time.sleep(rng.uniform(1, 3))
            layer = (layer + 1) % LAYERS
            self.clicks.append(visitor.choose("Layer", str(layer)))

    def _heavy(self, visitor: Visitor, job: str, ready: threading.Barrier) -> None:
        path, query, button = JOBS[job]
        visitor.open(path, query)
        ready.wait(300)
        end, first = time.monotonic() + self.seconds, 0
        while time.monotonic() < end:
            visitor.upload(pictures(visitor.number, first, 12))
            first += 12
            self.rounds[job] += 1
            until = min(end, time.monotonic() + 20)
            pressed = not button
            while time.monotonic() < until:
                visitor.listen(0.7)
                if not pressed and visitor.has("button", button):
                    visitor.press(button)
                    pressed = True
                if pressed and not visitor.waits:
                    break


def resident(server: psutil.Process) -> float:
    """The server's memory in MiB."""
    return float(server.memory_info().rss / 2**20)


def uploads(url: str, server: psutil.Process, images: int, errors: list[str]) -> list[float]:
    """Memory after each tenth of the images, uploaded in sets of 50, each in a tab of its own."""
    found = []
    for part in range(10):
        for _ in range(max(1, images // 500)):
            number = 40 + part
            visitor, archive = Visitor(url, number), io.BytesIO()
            first = int(time.monotonic() * 1000)
            with zipfile.ZipFile(archive, "w") as together:
                for name, data in pictures(number, first, 50).items():
                    together.writestr(name, data)
            visitor.open()
            visitor.upload({"set.zip": archive.getvalue()})
            latest = time.monotonic() + 30
            while visitor.waits and time.monotonic() < latest:
                visitor.listen(0.3)
            errors += visitor.errors
            visitor.close()
        found.append(resident(server))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--before", action="store_true")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=2000)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    environment = {"ATTNLIB_HOME": str(home), "ATTNLIB_CACHE_MB": "64"}
    command = [sys.executable, "-c", BEFORE, "app.py"] if asked.before else [*STREAMLIT, "app.py"]
    with serving(command, environment=environment, log=home / "log") as url:
        server = psutil.Process().children()[0]
        alone = Load(url, asked.seconds / 2)
        alone.run(range(36, 37), range(0))
        load = Load(url, asked.seconds)
        load.run(range(LIGHT), range(LIGHT, SESSIONS))
        if not (load.clicks and alone.clicks):
            sys.exit("\n".join([*alone.errors, *load.errors]))
        print(f"{'before' if asked.before else 'after'}: {SESSIONS} sessions", dict(load.rounds))
        quick, busy = (1000 * statistics.median(one.clicks) for one in (alone, load))
        worst = 1000 * sorted(load.clicks)[int(0.95 * len(load.clicks))]
        print(
            f"a light click: alone {quick:.0f} ms, under load {busy:.0f} ms (x {busy / quick:.2f}; "
            f"95 % within {worst:.0f} ms; {len(load.clicks)} clicks)",
            flush=True,
        )
        memory = uploads(url, server, asked.images, load.errors) if asked.images else []
        print("memory in MiB:", " ".join(f"{one:.0f}" for one in memory))
        print("mixed up:", [*alone.mixed, *load.mixed] or "nothing")
        print("errors:", [*alone.errors, *load.errors] or "none")
    log = (home / "log").read_text()
    print("in the log:", log.count("Traceback"), "tracebacks; see", home / "log")


if __name__ == "__main__":
    main()
