"""What there is to see on the pages, and how to open it by a link like somebody new."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Codec
from attnlib.model import demo
from tests.dashboard.audit_scenes import AUDIT_SCENES
from tests.dashboard.driving import idle, made, path, visitor

IMAGE = demo.images()[3].name

# What decides which controls there are stands here; the other controls are found on the screen.
SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    "gallery": ("prediction_debugging", {"image": None}),
    "gallery, grid": ("prediction_debugging", {"image": None, "gallery_density": "Grid"}),
    "gallery, table": ("prediction_debugging", {"image": None, "gallery_density": "Table"}),
    "gallery, map of images": (
        "prediction_debugging",
        {"image": None, "gallery_panel": "Map of images"},
    ),
    "gallery, results from elsewhere": (
        "prediction_debugging",
        {"image": None, "gallery_panel": "Results from elsewhere"},
    ),
    "gallery, second page": (
        "prediction_debugging",
        {"image": None, "gallery_only": "All", "gallery_page": 2},
    ),
    **{
        f"opened, {method}": ("prediction_debugging", {"method": method})
        for method in ("raw", "rollout", "flow", "relevance", "contrast", "occlusion")
    },
    **{
        f"attention, {view}": ("cls_attention", {"attention_view": view})
        for view in ("One head", "Heads of a layer", "All layers × heads", "Through the layers")
    },
    "opened, attention cut": (
        "prediction_debugging",
        {
            "method": "raw",
            "change_open": True,
            "change_what": "Cut attention",
            "change_region": (0, 1, 9),
        },
    ),
    "diagnosis": ("diagnosis", {"image": None}),
    "attention, matrix": (
        "cls_attention",
        {"attention_view": "Token × token", "attention_head": "1"},
    ),
    **{
        f"attention, {kind}": (
            "cls_attention",
            {"attention_view": "Compare", "attention_compare": kind},
        )
        for kind in ("Nearest correct", "Another image")
    },
    "attention, Another model": (
        "cls_attention",
        {
            "attention_view": "Compare",
            "attention_compare": "Another model",
            "attention_other_model": "demo",
        },
    ),
    "model, half precision": ("cls_attention", {"precision": "bfloat16"}),
    "model, named device": ("cls_attention", {"device": "cpu"}),
    "model, form of timm": ("cls_attention", {"source": "timm"}),
    "heads, All wrong images": ("head_similarity", {"heads_effect_scope": "All wrong images"}),
    **{
        f"heads, {section}": ("head_similarity", {"heads_section": section})
        for section in (
            "Effect on the prediction",
            "Direct effect",
            "Similarity",
            "Numbers and flags",
        )
    },
    **{
        f"compare, {part}": ("rollout_vs_flow", {"compare_part": part})
        for part in ("Maps", "Agreement", "Faithfulness", "Randomised weights", "Localisation")
    },
    "versus, Two models": (
        "model_comparison",
        {"versus_other": "demo", "versus_category": "still wrong"},
    ),
    "model, random weights": (
        "cls_attention",
        {"source": "random", "random_model": "vit_tiny_patch16_224", "pre_size": "48x64"},
    ),
    **{
        f"walk, {part}": ("attention_walkthrough", {"walk_part": part})
        for part in ("Step by step", "Temperature", "Head explorer")
    },
    "walk, words": (
        "attention_walkthrough",
        {"walk_part": "Playground", "toy_example": "own text", "toy_cross": True},
    ),
    **{
        f"walk, words, {view}": (
            "attention_walkthrough",
            {"walk_part": "Playground", "toy_view": view},
        )
        for view in ("Heads side by side", "Step by step", "Softmax by hand")
    },
    **{
        f"cost, {part}": ("complexity_calculator", {"cost_part": part})
        for part in ("Cost", "Sweeps", "Alternatives", "Side by side", "Receptive field")
    },
    "cost, timm": ("complexity_calculator", {"cost_of": "timm model"}),
    "cost, free": ("complexity_calculator", {"cost_of": "Free"}),
    **AUDIT_SCENES,
}
# How files are picked is nothing to see, and a folder is one of this machine.
UNLINKED = {"upload_kind", "elsewhere_path", "versus_folder", "workspace_name"}
UNLINKED |= {"audit_source", "audit_out"}
WIDGETS = (
    "button_group",
    "multiselect",
    "number_input",
    "pagination",
    "select_slider",
    "selectbox",
    "slider",
    "text_input",
    "toggle",
)


def scene(name: str) -> tuple[str, dict[str, Any]]:
    """A page and where it stands; what has to be made for it is made now."""
    page, start = SCENES[name]
    return page, {key: value() if callable(value) else value for key, value in start.items()}


@dataclass
class Walker:
    """What controls declare while pages are drawn.

    Attributes:
        codecs: of every linked control of the last run, by key.
    """

    codecs: dict[str, Codec[Any]] = field(default_factory=dict)

    def run(self, app: AppTest) -> AppTest:
        """Run until nothing is computed any more."""
        for _ in range(600):
            self.codecs.clear()
            before = made(app)
            app.run()
            assert not app.exception, [e.value for e in app.exception]
            while not idle(app):
                time.sleep(0.05)
            if made(app) == before and not app.get("progress"):
                return app
        raise AssertionError("a computation does not end")


@pytest.fixture
def walker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Walker]:
    seen = Walker()
    settle = address.settle

    def noted(key: str, default: Any, codec: Codec[Any], **more: Any) -> Any:
        if more.get("linked", True):
            seen.codecs[key] = codec
        return settle(key, default, codec, **more)

    monkeypatch.setattr(address, "settle", noted)
    yield seen


@cache
def _page_hash(page: str) -> str:
    """By which a request names a page; an app must have run once to tell."""
    return visitor().run().switch_page(path(page))._page_hash


def opened(walker: Walker, page: str, query: dict[str, Any], **state: Any) -> AppTest:
    """A page opened by a new visitor, whose first request it is."""
    app = visitor()
    app._page_hash = _page_hash(page)
    app.query_params.update(query)
    for key, value in state.items():
        app.session_state[key] = value
    return walker.run(app)


def seen(walker: Walker, app: AppTest) -> dict[str, Any]:
    """Values of all controls, and all pictures and charts, byte for byte."""
    # As it is remembered: what has no control on the screen now is not in the session itself.
    memory = app.session_state["memory"]
    state = {key: memory.kept[key, memory.of.get(key)] for key in walker.codecs}
    shown = {
        f"{kind} {element.key}": element.value
        for kind in WIDGETS
        for element in app.get(kind)
        if element.key not in UNLINKED and not element.key.startswith("said_")
    }
    pictures = [picture.url for element in app.get("image") for picture in element.proto.imgs]
    # Of cells the picture; of other components all that is sent.
    sent = [(e.proto.json, json.loads(e.proto.json)) for e in app.get("bidi_component")]
    pictures += [said.get("image", text) for text, said in sent]
    charts = [element.proto.spec for element in app.get("vega_lite_chart")]
    tables = [element.value.to_csv() for element in app.dataframe]
    return {**state, **shown, "pictures": pictures, "charts": charts, "tables": tables}
