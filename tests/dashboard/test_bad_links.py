"""Links that ask for what is not there: junk, an image that is gone, other people's images."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from attnlib.dashboard.parts.codecs import Codec, Text
from tests.dashboard.driving import png, upload, visitor
from tests.dashboard.scenes import IMAGE, Walker, opened, seen
from tests.dashboard.scenes import scene as named
from tests.dashboard.screen import Screen

JUNK: dict[str, str | list[str]] = {
    "not a number": "nan",
    "400 digits": "9" * 400,
    "a digit that is none": "²",
    "100 KB": "x" * 100_000,
    "given twice": ["1", "1"],
    "another script": "猫\u202e\x00",
}


def typed(codec: Codec[Any], text: str) -> bool:
    """Whether it is a text that one could have typed."""
    if not isinstance(codec, Text):
        return False
    try:
        codec.read([text])
    except ValueError:
        return False
    return True


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
        "audits, Map",
    ],
)
def test_junk_falls_back_in_one_sentence(walker: Walker, scene: str) -> None:
    page, start = named(scene)
    start = {"image": IMAGE, **start}
    plain = opened(walker, page, {}, **start)
    mine, codecs = seen(walker, plain), dict(walker.codecs)
    for junk in JUNK:
        keys = [key for key in codecs if key not in start]
        if junk == "100 KB":
            keys = keys[-1:]  # so much at once is no address for a browser either
        app = visitor()
        app._page_hash = plain._page_hash
        app.query_params.update({key: JUNK[junk] for key in keys})
        for key, value in start.items():
            app.session_state[key] = value
        app.run()
        assert not app.exception, junk
        # Some of it is a text that one could have typed.
        texts = {
            key
            for key in keys
            if junk in ("not a number", "400 digits", "a digit that is none")
            and typed(codecs[key], str(JUNK[junk]))
        }
        said = [toast.value for toast in app.get("toast")]
        assert len(said) == len(keys) - len(texts) > 0, junk
        assert all("the link says" in words and len(words) < 400 for words in said), junk
        left = set(app.query_params) & (set(keys) - texts)
        assert not left, f"{junk} stays in the address"
        theirs = seen(walker, walker.run(app))
        if not texts:
            assert theirs == mine, junk


@pytest.mark.parametrize("page", ["prediction_debugging", "cls_attention", "rollout_vs_flow"])
def test_an_image_that_is_not_here_is_named_and_no_other_shown(
    walker: Walker, screen: Screen, page: str
) -> None:
    app = opened(walker, page, {"image": "gone <b>.png"})
    [warning] = [w.value for w in app.warning]
    assert "gone \\<b\\>.png" in warning and "80 images" in warning
    assert app.query_params["image"] == "gone <b>.png", "a reload says it again"
    if page == "prediction_debugging":
        assert len(screen.cards(app)) == 6, "what there is"
        return
    assert not app.get("image") and not app.get("bidi_component")
    next(b for b in app.button if b.label.startswith("Open the first")).click()
    walker.run(app)
    assert app.get("image") and not any("gone" in w.value for w in app.warning)
    wrong = app.session_state["workspace"].predictions
    best = max((p for p in wrong if p.wrong), key=lambda p: p.confidence)
    assert app.query_params["image"] == best.name


def test_an_image_of_the_same_name_is_no_substitute(walker: Walker) -> None:
    mine = walker.run(visitor())
    upload(mine, ("a.png", png(1), "image/png"))
    mine.session_state["image"] = "a.png"
    walker.run(mine)
    link = {key: value for key, value in mine.query_params.items() if key != "workspace"}
    digest = hashlib.sha256(hashlib.sha256(png(1)).hexdigest().encode()).hexdigest()[:16]
    other = visitor()
    # As of a server that keeps nothing: the link says among which images, and has none.
    other.query_params.update(link | {"images": digest})
    walker.run(other)
    assert any("other images" in w.value for w in other.warning)
    upload(other, ("a.png", png(2), "image/png"))
    assert any("other images" in w.value for w in other.warning)
    assert other.session_state["image"] is None
    upload(other, ("a.png", png(1), "image/png"))
    assert not other.warning
    assert other.session_state["image"] == "a.png"


@pytest.mark.parametrize("source", ["file", "upload"])
def test_a_link_with_weights_that_only_its_sender_has_says_so(walker: Walker, source: str) -> None:
    app = opened(walker, "prediction_debugging", {"source": source})
    assert any("A link cannot carry weights" in info.value for info in app.info)
