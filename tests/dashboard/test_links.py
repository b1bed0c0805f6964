"""A link keeps everything: each control is changed, and its address is opened by somebody new."""

from __future__ import annotations

import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.parts import address
from attnlib.dashboard.parts.codecs import Codec, Number, OneOf, SomeOf, YesNo
from attnlib.dashboard.state.startup import MAIN
from attnlib.model.preparation import DEFAULTS
from tests.dashboard.scenes import IMAGE, SCENES, UNLINKED, WIDGETS, Walker, opened, seen
from tests.dashboard.scenes import scene as named

# These lead to another scene, or to another model and its files.
LEADING = {"source", "device", "precision", "image", "method", "toy_example", "toy_cross"} | {
    key for _, start in SCENES.values() for key in start if key.endswith(("_view", "_part", "_of"))
}
LEADING |= {"attention_compare", "heads_section", "heads_effect_scope"}
LEADING |= {"random_model", "versus_other", "audit_folder"}
# These make another input of every image; test_preprocessing.py opens links with them.
LEADING |= {f"pre_{name}" for name in DEFAULTS} | {"decoding", "numbers", "pre_size"}
# Lists that only follow what stands in the address under another name.
FOLLOWING = {
    "attention_asks": "attention_query",
    "walk_asks": "walk_query",
    "walk_menu": "walk_step",
    "toy_menu": "toy_step",
    "compare_first": "compare_pair",
    "compare_second": "compare_pair",
    "loaded_model": "source",
}
# Where the next value that comes to mind is impossible, or costs minutes.
VALUES: dict[str, Any] = {
    "gallery_only": "All",
    "gallery_true": [3],  # a cat
    "gallery_predicted": [5],  # taken for a dog
    "gallery_cell": "3-5",
    "gallery_tag": ["no tag"],
    "gallery_text": "cifar10",
    "gallery_confidence_from": 20,
    "gallery_confidence_to": 99,
    "gallery_narrow": False,  # no such cat
    "gallery_finding": "heads-3",  # not found in the demo
    "gallery_versus": None,  # no second model is chosen
    "label_means": {"kitty": "cat"},
    "gallery_density": "Cards",  # in scenes of their own
    "gallery_lasso": "pca_00000000_0.0_9000.0_0.9000",
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
    "audit_outcome": "all",
    "audit_label": None,
    "audit_predicted": "cat",
    "audit_text": "cifar10",
    "audit_group": (("true class", "cat"),),
    "compared_group": (("true class", "cat"),),
    "compared_category": "all",
    "option_window": 2,
    "softmax_scores": "3, 2, 0.5",
}


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


WIDGET = re.compile(
    r"st\.(selectbox|multiselect|slider|select_slider|number_input|text_input|text_area|toggle"
    r"|checkbox|radio|segmented_control|pills|pagination|data_editor|color_picker)\("
)
# Lists that follow a value of the address, tables in which own files are described, and what is
# said of an image or of a workspace, which is data and no view.
BARE = {
    "attention/choose.py": 1,
    # What is said of an image of an audit is kept beside it.
    "audits/saying.py": 4,
    "compare/difference.py": 1,
    "mistakes/labelling.py": 2,
    "parts/kept.py": 1,
    "parts/loaded.py": 1,
    "parts/uploads.py": 1,
    # Columns of a file that no link holds.
    "triage/elsewhere/confirm.py": 3,
    "triage/judging.py": 4,
    "triage/talk.py": 1,
    "versus/files.py": 1,
    "walk/place.py": 1,
    "walk/player.py": 1,
    "workspaces/opened.py": 2,
}


def test_no_control_is_declared_in_another_way() -> None:
    folder = MAIN.parent
    found = {
        str(path.relative_to(folder)): len(WIDGET.findall(path.read_text()))
        for path in folder.rglob("*.py")
        if path.parent.name != "controls"
    }
    assert {name: count for name, count in found.items() if count} == BARE


WITHOUT_CONTROLS = {
    "heads, All wrong images",
    "audits, of what is loaded",
    "audits, Classes",
    "audits, Groups that fail",
}
IN_WORDS = {
    "audits, of what is loaded",
    "audits, Groups that fail",
    "audits, Nearest training images",
    "audits, Results from elsewhere",
}
# What is said of an image: data, and no view of it.
SAID = "said_"
# The same on every page, see `parts/drawn.py`.
DRAWING = ("mode", "colormap", "opacity", "fade", "interpolation", "keep")
SHARED = ("target", "fusion", "discard", "residual", "start", "source", "end", "scale", "opacity")


@pytest.mark.parametrize("scene", SCENES)
def test_a_link_opens_what_its_sender_saw(walker: Walker, scene: str) -> None:
    page, start = named(scene)
    app = opened(walker, page, {}, **{"image": IMAGE, **start})
    drawn = {e.key for kind in WIDGETS for e in app.get(kind) if not e.key.startswith(SAID)}
    unlinked = {key for key in drawn if FOLLOWING.get(key, key) not in walker.codecs} - UNLINKED
    assert not unlinked, "controls that no link holds"
    changed, shared = [], {f"compare_{name}" for name in SHARED} | {"colormap"}
    for key in list(walker.codecs):
        if key in LEADING or key in start or key not in walker.codecs:
            continue
        if key not in app.session_state:
            continue  # its control is not drawn now: one page of images, say
        if key.startswith("gallery_") and not scene.startswith("gallery"):
            continue  # walked there; here they only say who comes next
        if key in DRAWING and scene not in ("gallery", "opened, raw", "attention, One head"):
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
    assert changed or scene in WITHOUT_CONTROLS
    mine = seen(walker, app)
    shown = mine["pictures"] or mine["tables"] or mine["charts"]
    # Numbers are told in words there, and nothing is wrong with the demo.
    assert shown or page in ("complexity_calculator", "diagnosis") or scene in IN_WORDS
    theirs = seen(walker, opened(walker, page, app.query_params))
    assert theirs == mine


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
