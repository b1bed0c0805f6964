"""A link keeps everything: each control is changed, and its address is opened by somebody new."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Codec, Number, OneOf, SomeOf, Text, YesNo
from attnlib.dashboard.state.startup import MAIN
from attnlib.model import demo
from tests.dashboard.test_app import png, upload

IMAGE = demo.images()[3].name

# What decides which controls there are stands here; the other controls are found on the screen.
SCENES: dict[str, tuple[str, dict[str, Any]]] = {
    "gallery": ("prediction_debugging", {"image": None}),
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
        for section in ("Effect on the prediction", "Similarity", "Numbers and flags")
    },
    **{
        f"compare, {part}": ("rollout_vs_flow", {"compare_part": part})
        for part in ("Maps", "Agreement", "Faithfulness", "Randomised weights", "Localisation")
    },
    **{
        f"walk, {part}": ("attention_walkthrough", {"walk_part": part})
        for part in ("Step by step", "Temperature", "Head explorer")
    },
    "walk, words": (
        "attention_walkthrough",
        {"walk_part": "Playground", "toy_example": "own text", "toy_cross": True},
    ),
    **{
        f"cost, {part}": ("complexity_calculator", {"cost_part": part})
        for part in ("Cost", "Sweeps", "Alternatives", "Side by side", "Receptive field")
    },
    "cost, timm": ("complexity_calculator", {"cost_of": "timm model"}),
    "cost, free": ("complexity_calculator", {"cost_of": "Free"}),
}
# These lead to another scene, or to another model and its files.
LEADING = {"source", "device", "precision", "image", "method", "toy_example", "toy_cross"} | {
    key for _, start in SCENES.values() for key in start if key.endswith(("_view", "_part", "_of"))
}
LEADING |= {"attention_compare", "heads_section", "heads_effect_scope"}
# Lists that only follow what stands in the address under another name.
FOLLOWING = {
    "attention_asks": "attention_query",
    "walk_asks": "walk_query",
    "walk_menu": "walk_step",
    "compare_first": "compare_pair",
    "compare_second": "compare_pair",
}
# How files are picked is nothing to see.
UNLINKED = {"upload_kind"}
# Where the next value that comes to mind is impossible, or costs minutes.
VALUES: dict[str, Any] = {
    "gallery_only": "All",
    "gallery_true": 3,  # a cat
    "gallery_predicted": 5,  # taken for a dog
    "cost_height": 448,
    "cost_width": 224,
    "cost_patch": 32,
    "cost_dim": 384,
    "cost_heads": 6,
    "cost_pina": "source=timm&height=448",
    "cost_pinb": "",
    "heads_pair": (2, 9),
    "compare_box_left": 2,
    "compare_box_top": 3,
    "compare_box_right": 20,
    "compare_box_bottom": 24,
    "compare_all_methods": ["raw"],
    "compare_random_method": "gradcam",
    "toy_heads": 8,
    "option_window": 2,
}
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
            app.run()
            assert not app.exception, [e.value for e in app.exception]
            state = app.session_state
            tasks = state["tasks"].values() if "tasks" in state else ()
            done = state["session"].job.finished and all(task.finished for task in tasks)
            if done and not app.get("progress"):
                return app
            time.sleep(0.05)
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


def opened(walker: Walker, page: str, query: dict[str, Any], **state: Any) -> AppTest:
    """A page opened by a new visitor, whose first request it is."""
    first = walker.run(AppTest.from_file(str(MAIN), default_timeout=120))
    first.switch_page(f"../../pages/{page}/page.py")
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    app._page_hash = first._page_hash
    app.query_params.update(query)
    for key, value in state.items():
        app.session_state[key] = value
    return walker.run(app)


def another(codec: Codec[Any], now: Any) -> Any:
    """A value that differs from the present one."""
    if isinstance(codec, YesNo):
        return not now
    if isinstance(codec, OneOf):
        options = list(codec.options)
        return options[(options.index(now) + 1) % len(options)]
    if isinstance(codec, SomeOf):
        return now[1:] if now else list(codec.one.options)[1:3]
    if isinstance(codec, Number):
        least, most = max(codec.low, -3), min(codec.high, 1000)
        if codec.whole:
            return now + 1 if now is not None and now + 1 <= most else least
        return round((now + most) / 2 if now < most else (least + most) / 2, 4)
    return "3 small words, ² é 木 &=?#"


def seen(walker: Walker, app: AppTest) -> dict[str, Any]:
    """Values of all controls, and all pictures and charts, byte for byte."""
    state = {key: app.session_state[key] for key in walker.codecs}
    shown = {
        f"{kind} {element.key}": element.value
        for kind in WIDGETS
        for element in app.get(kind)
        if element.key not in UNLINKED
    }
    pictures = [picture.url for element in app.get("image") for picture in element.proto.imgs]
    pictures += [json.loads(e.proto.json)["image"] for e in app.get("bidi_component")]
    charts = [element.proto.spec for element in app.get("vega_lite_chart")]
    return {**state, **shown, "pictures": pictures, "charts": charts}


WIDGET = re.compile(
    r"st\.(selectbox|multiselect|slider|select_slider|number_input|text_input|text_area|toggle"
    r"|checkbox|radio|segmented_control|pills|pagination|data_editor|color_picker)\("
)
# Lists that follow a value of the address, and the table in which own images are labelled.
BARE = {
    "attention/choose.py": 1,
    "compare/difference.py": 1,
    "mistakes/summary.py": 1,
    "walk/place.py": 1,
    "walk/player.py": 1,
}


def test_no_control_is_declared_in_another_way() -> None:
    folder = MAIN.parent
    found = {
        str(path.relative_to(folder)): len(WIDGET.findall(path.read_text()))
        for path in folder.rglob("*.py")
        if path.name != "controls.py"
    }
    assert {name: count for name, count in found.items() if count} == BARE


SHARED = ("target", "fusion", "discard", "residual", "start", "source", "end", "opacity")


@pytest.mark.parametrize("scene", SCENES)
def test_a_link_opens_what_its_sender_saw(walker: Walker, scene: str) -> None:
    page, start = SCENES[scene]
    app = opened(walker, page, {}, **{"image": IMAGE, **start})
    drawn = {element.key for kind in WIDGETS for element in app.get(kind)}
    unlinked = {key for key in drawn if FOLLOWING.get(key, key) not in walker.codecs} - UNLINKED
    assert not unlinked, "controls that no link holds"
    changed, shared = [], {f"compare_{name}" for name in SHARED} | {"colormap"}
    for key in list(walker.codecs):
        if key in LEADING or key in start or key not in walker.codecs:
            continue
        if scene.startswith("compare") and key in shared and scene != "compare, Maps":
            continue  # walked there; here each of them would mean minutes
        before = app.session_state[key]
        value = VALUES[key] if key in VALUES else another(walker.codecs[key], before)
        if value == before:
            continue
        app.session_state[key] = value
        walker.run(app)
        assert app.session_state[key] == value, key
        assert key in app.query_params, f"{key} is not in the address"
        changed.append(key)
    assert changed or scene == "heads, All wrong images"
    mine = seen(walker, app)
    assert mine["pictures"] or page == "complexity_calculator"
    theirs = seen(walker, opened(walker, page, app.query_params))
    assert theirs == mine


JUNK: dict[str, str | list[str]] = {
    "not a number": "nan",
    "400 digits": "9" * 400,
    "a digit that is none": "²",
    "100 KB": "x" * 100_000,
    "given twice": ["1", "1"],
    "another script": "猫\u202e\x00",
}


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize(
    "scene",
    [
        "gallery",
        "opened, rollout",
        "attention, One head",
        "heads, Similarity",
        "compare, Localisation",
        "walk, Temperature",
        "walk, words",
        "cost, free",
    ],
)
def test_junk_falls_back_in_one_sentence(walker: Walker, scene: str, junk: str) -> None:
    page, start = SCENES[scene]
    start = {"image": IMAGE, **start}
    plain = opened(walker, page, {}, **start)
    keys = [key for key in walker.codecs if key not in start]
    if junk == "100 KB":
        keys = keys[-1:]  # so much at once is no address for a browser either
    mine = seen(walker, plain)
    codecs = dict(walker.codecs)
    app = AppTest.from_file(str(MAIN), default_timeout=120)
    app._page_hash = plain._page_hash
    app.query_params.update({key: JUNK[junk] for key in keys})
    for key, value in start.items():
        app.session_state[key] = value
    app.run()
    assert not app.exception
    # Some of it is a text that one could have typed.
    texts = {
        key
        for key in keys
        if isinstance(codecs[key], Text)
        and junk in ("not a number", "400 digits", "a digit that is none")
    }
    said = [toast.value for toast in app.get("toast")]
    assert len(said) == len(keys) - len(texts) > 0
    assert all("the link says" in sentence and len(sentence) < 400 for sentence in said)
    assert not set(app.query_params) & (set(keys) - texts), "the junk stays in the address"
    theirs = seen(walker, walker.run(app))
    if not texts:
        assert theirs == mine


@pytest.mark.parametrize("page", ["prediction_debugging", "cls_attention", "rollout_vs_flow"])
def test_an_image_that_is_not_here_is_named_and_no_other_shown(walker: Walker, page: str) -> None:
    app = opened(walker, page, {"image": "gone <b>.png"})
    [warning] = [w.value for w in app.warning]
    assert "gone \\<b\\>.png" in warning and "80 images" in warning
    assert app.query_params["image"] == "gone <b>.png", "a reload says it again"
    if page == "prediction_debugging":
        assert sum(button.label == "Open" for button in app.button) == 6, "what there is"
        return
    assert not app.get("image") and not app.get("bidi_component")
    next(b for b in app.button if b.label.startswith("Open the most")).click()
    walker.run(app)
    assert app.get("image") and not any("gone" in w.value for w in app.warning)
    wrong = app.session_state["workspace"].predictions
    best = max((p for p in wrong if p.wrong), key=lambda p: p.confidence)
    assert app.query_params["image"] == best.name


def test_an_image_of_the_same_name_is_no_substitute(walker: Walker) -> None:
    mine = walker.run(AppTest.from_file(str(MAIN), default_timeout=120))
    upload(mine, ("a.png", png(1), "image/png"))
    mine.session_state["image"] = "a.png"
    walker.run(mine)
    link = dict(mine.query_params)
    other = AppTest.from_file(str(MAIN), default_timeout=120)
    other.query_params.update(link)
    walker.run(other)
    assert any("other images" in w.value for w in other.warning)
    upload(other, ("a.png", png(2), "image/png"))
    assert any("other images" in w.value for w in other.warning)
    assert other.session_state["image"] is None
    upload(other, ("a.png", png(1), "image/png"))
    assert not other.warning
    assert other.session_state["image"] == "a.png"


def test_a_choice_is_remembered_across_pages_and_for_each_image(walker: Walker) -> None:
    app = opened(walker, "cls_attention", {"attention_layer": "2", "attention_head": "max"})
    app.switch_page("../../pages/rollout_vs_flow/page.py")
    walker.run(app)
    first = app.session_state["workspace"].prediction_of
    app.session_state["image"] = IMAGE
    walker.run(app)
    app.session_state["compare_target"] = 9
    walker.run(app)
    assert app.query_params["compare_target"] == "9"
    other = next(name for name in first if name != IMAGE and first[name].predicted != 9)
    app.session_state["image"] = other
    walker.run(app)
    assert app.session_state["compare_target"] == first[other].predicted
    assert "compare_target" not in app.query_params
    app.session_state["image"] = IMAGE
    walker.run(app)
    assert app.session_state["compare_target"] == 9
    app.switch_page("../../pages/cls_attention/page.py")
    walker.run(app)
    assert (app.session_state["attention_layer"], app.session_state["attention_head"]) == (
        "2",
        "max",
    )
    assert app.query_params["attention_head"] == "max"


def test_back_in_the_browser_goes_back(walker: Walker, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(walker, "cls_attention", {"image": IMAGE})
    before = dict(app.query_params)
    app.session_state["attention_layer"] = "1"
    walker.run(app)
    assert app.query_params["attention_layer"] == "1"
    # A timer's request may be older than the address that was just written.
    go(app, before)
    assert app.session_state["attention_layer"] == "1"
    assert app.query_params["attention_layer"] == "1"
    monkeypatch.setattr(address, "IN_FLIGHT", 0.0)
    go(app, before)
    assert app.session_state["attention_layer"] == "5"
    assert "attention_layer" not in app.query_params


def go(app: AppTest, query: dict[str, Any]) -> None:
    """What the browser sends when its history is gone through."""
    app.query_params.clear()
    app.query_params.update(query)
    app.run()
    assert not app.exception
