"""What a visitor does in the app, and waiting for what comes of it."""

from __future__ import annotations

import io
import itertools
import re
import time
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.state.models import ModelChoice
from attnlib.dashboard.state.session import Session, demo_samples
from attnlib.dashboard.state.startup import MAIN

# The parts of every page: the key that chooses one, and their names.
PAGES: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "prediction_debugging": (None, ()),
    "diagnosis": (None, ()),
    "cls_attention": (
        "attention_view",
        ("One head", "All layers × heads", "Through the layers", "Token × token", "Compare"),
    ),
    "head_similarity": (
        "heads_section",
        (
            "Effect on the prediction",
            "Direct effect",
            "Similarity",
            "Numbers and flags",
            "Common problems",
        ),
    ),
    "rollout_vs_flow": (
        "compare_part",
        ("Maps", "Agreement", "Faithfulness", "Randomised weights", "Localisation"),
    ),
    "model_comparison": ("versus_view", ("Two models", "A training run")),
    "attention_walkthrough": (
        "walk_part",
        ("Step by step", "Temperature", "Head explorer", "Playground"),
    ),
    "workspaces": ("workspaces_view", ("All workspaces", "This one", "Log and use")),
    "complexity_calculator": (
        "cost_part",
        ("Cost", "Sweeps", "Measured", "Alternatives", "Side by side", "Receptive field"),
    ),
}
_models = itertools.count()


# What lies behind buttons, see `controls.drawer`.
DRAWERS = (
    "filter_open",
    "sort_open",
    "drawing_open",
    "options_open",
    "note_open",
    "talk_open",
    "workspace_open",
)


def visitor(drawers: bool = True) -> AppTest:
    """A new visitor's app, before its first run.

    Args:
        drawers: whether the controls behind buttons are in view.
    """
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    for key in DRAWERS if drawers else ():
        app.session_state[key] = True
    return app


def path(page: str) -> str:
    """What `AppTest.switch_page` calls a page."""
    return f"../../pages/{page}/page.py"


def settle(app: AppTest) -> AppTest:
    """Run again, as the page's own timer does, until every image is inspected."""
    job = app.session_state["session"].job
    for _ in range(600):
        if job is None or job.finished:
            return app.run()
        time.sleep(0.1)
    raise AssertionError("the inspection does not end")


def finish(app: AppTest) -> AppTest:
    """Run again until nothing is computed any more; nothing may fail on the way."""
    drawn = 0
    for _ in range(600):
        assert not app.exception, [e.value for e in app.exception]
        if idle(app) and not app.get("progress") and made(app) == drawn:
            return app
        for _ in range(2400):
            if idle(app):
                break
            time.sleep(0.05)
        drawn = made(app)
        app.run()
    raise AssertionError("a computation does not end")


def made(app: AppTest) -> int:
    """How many maps were made beside the page; 0 before the page has said what it waits for."""
    return app.session_state["filling"].made if "filling" in app.session_state else 0


def idle(app: AppTest) -> bool:
    """Whether nothing is computed beside the page."""
    state = app.session_state
    job = state["session"].job if "session" in state else None
    tasks = state["tasks"].values() if "tasks" in state else ()
    filled = "filling" not in state or not state["filling"].busy
    return (job is None or job.finished) and all(task.finished for task in tasks) and filled


def part(app: AppTest, name: str) -> AppTest:
    """Choose one of a page's parts."""
    key = next(key for key, parts in PAGES.values() if key and name in parts)
    app.segmented_control(key=key).set_value(name).run()
    return finish(app)


def click(app: AppTest, label: str) -> AppTest:
    """Press a button, and wait."""
    next(button for button in app.button if button.label == label).click().run()
    return finish(app)


def png(seed: int, side: int = 48) -> bytes:
    """A file with a square of random pixels."""
    rng = np.random.default_rng(seed)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def upload(app: AppTest, *files: tuple[str, bytes, str]) -> AppTest:
    """Drop files (name, content, media type) where images go."""
    uploader = next(u for u in app.file_uploader if u.label.startswith("Images"))
    uploader.set_value(list(files)).run()
    return settle(app)


def folders(app: AppTest, *names: str) -> AppTest:
    """Drop a zip with one image in a folder of each name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for seed, name in enumerate(names):
            archive.writestr(f"set/{name}/{name}.png", png(seed))
    return upload(app, ("set.zip", out.getvalue(), "application/zip"))


def use(
    app: AppTest,
    model: torch.nn.Module | attnlib.Vit,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str | None = None,
    **options: Any,
) -> attnlib.Vit:
    """Put a model in the place of the demo's, as if the visitor had chosen it.

    Args:
        name: tells the model from others: results are shared by it. None is a name of its own.
        options: for `attnlib.load`, where the model is a module.
    """
    if isinstance(model, attnlib.Vit):
        vit = model
    else:
        vit = attnlib.load(model.eval(), device="cpu", **options)
    monkeypatch.setattr("attnlib.dashboard.state.models.get", lambda choice, upload=None: vit)
    choice = ModelChoice(name or f"test model {next(_models)}", device="cpu")
    # The demo is what the form asks for; a failed wish is not tried again.
    app.session_state["session"] = Session(
        demo_samples(), choice=choice, failed=ModelChoice(device="auto")
    )
    return vit


def numbers(app: AppTest) -> dict[str, str]:
    """What the line above the gallery counts, by its words."""
    line = next(str(e.value) for e in app.markdown if re.match(r"\*\*\d+\*\* images", str(e.value)))
    found: dict[str, str] = {}
    for part in line.split(" · "):
        for words, value, more in re.findall(r"(.*?)\*\*(.+?)\*\*(?: (\w+))?", part)[:1]:
            found[words.strip() or more] = value
    return found


def open_image(app: AppTest, name: str) -> AppTest:
    """Open an image, as a click on its card does."""
    app.session_state["image"] = app.session_state["gallery_last"] = name
    return app.run()


def text(app: AppTest) -> str:
    """All words on the page."""
    kinds = [app.markdown, app.caption, app.info, app.error, app.warning, app.subheader]
    parts = [str(e.value) for kind in kinds for e in kind]
    return "\n".join(parts + [str(e.proto) for e in app.get("html")])
