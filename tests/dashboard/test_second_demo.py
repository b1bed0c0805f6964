"""The demo with planted causes: a visit begins with it, and its pictures come with it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from attnlib import settings
from attnlib.dashboard.mistakes import code
from attnlib.dashboard.state import saving
from attnlib.data import annotation
from attnlib.model import demo, objects
from tests.dashboard.driving import click, finish, numbers, part, path, png, settle, text, upload


def choose(app: AppTest, source: str) -> AppTest:
    app.selectbox(key="source").set_value(source).run()
    return settle(app)


def shown(app: AppTest) -> list[tuple[str, bytes]]:
    """Names and bytes of the images of the session."""
    return [(sample.name, sample.data) for sample in app.session_state["session"].samples]


OBJECTS = [(image.name, image.data) for image in objects.images()]
PHOTOGRAPHS = [(image.name, image.data) for image in demo.images()]


def test_a_visit_begins_with_it(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.variable("opening_demo"))
    monkeypatch.setattr(settings, "_current", None)
    settle(app.run())
    assert not app.exception
    assert shown(app) == OBJECTS
    assert app.session_state["session"].choice.source == objects.NAME
    assert len(app.session_state["session"].objects.masks) == len(OBJECTS)
    assert "source" not in app.query_params, "the bare address opens it"
    assert "Tour in three steps" in [button.label for button in app.button]
    choose(app, "demo")
    assert shown(app) == PHOTOGRAPHS
    assert app.query_params["source"] == "demo", "a link leads to the other one"
    assert not app.session_state["session"].objects.masks


def test_the_sidebar_brings_its_pictures_labels_and_masks(app: AppTest) -> None:
    settle(app.run())
    assert shown(app) == PHOTOGRAPHS
    choose(app, objects.NAME)
    assert not app.exception
    assert shown(app) == OBJECTS
    assert app.query_params["source"] == objects.NAME, "a link leads here again"
    facts = objects.facts()
    found = numbers(app)
    assert found["images"] == str(len(OBJECTS))
    assert found["wrong"] == str(len(OBJECTS) - facts["embedded"]["right"])
    assert f"{facts['usual']['right']} of {facts['usual']['images']}" in text(app)
    session = app.session_state["session"]
    for sample, image in zip(session.samples, objects.images(), strict=True):
        kept = annotation.read_mask(session.objects.masks[sample.sha256], (96, 96))
        drawn = np.asarray(Image.open(io.BytesIO(image.mask)).convert("L")) > 0
        np.testing.assert_array_equal(np.asarray(kept) > 0, drawn)
    # Nobody has done anything yet that would be missed.
    assert not saving.worth(session)


def test_the_first_demo_comes_back_with_its_photographs(app: AppTest) -> None:
    choose(choose(settle(app.run()), objects.NAME), "demo")
    assert shown(app) == PHOTOGRAPHS
    assert not app.session_state["session"].objects.masks


def test_a_link_leads_to_a_picture_of_it(app: AppTest) -> None:
    name = OBJECTS[7][0]
    app.query_params["source"] = objects.NAME
    app.query_params["image"] = name
    settle(app.run())
    assert not app.exception
    assert shown(app) == OBJECTS
    assert app.session_state["image"] == name
    assert "which is not among" not in text(app)


def test_own_images_stay_and_its_pictures_come_after_them(app: AppTest) -> None:
    settle(app.run())
    mine = png(3)
    upload(app, ("mine.png", mine, "image/png"))
    choose(app, objects.NAME)
    assert [name for name, _ in shown(app)] == ["mine.png"]
    click(app, "Back to the demo images")
    assert shown(app) == OBJECTS
    assert len(app.session_state["session"].objects.masks) == len(OBJECTS)


def test_localisation_needs_no_box(app: AppTest) -> None:
    app.query_params["source"] = objects.NAME
    app.query_params["image"] = OBJECTS[0][0]
    settle(app.run())
    app.switch_page(path("rollout_vs_flow"))
    finish(app.run())
    part(app, "Localisation")
    assert "Say where the object is" not in text(app)
    assert app.segmented_control(key="compare_object").value == "Mask"
    assert f"Annotated images: {len(OBJECTS)}." in text(app)


def test_code_opens_the_picture_that_is_shown(app: AppTest) -> None:
    choose(settle(app.run()), objects.NAME)
    session = app.session_state["session"]

    class Space:
        pass

    space = Space()
    space.session = session  # type: ignore[attr-defined]
    lines = "\n".join(code._image(space, OBJECTS[4][0]))  # type: ignore[arg-type]
    found: dict[str, object] = {}
    exec("from PIL import Image\n" + lines, found)
    assert found["data"] == OBJECTS[4][1]
