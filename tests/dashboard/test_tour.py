"""The tour: three steps over the real pages, which show what the model says and leave nothing."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

import attnlib
from attnlib.dashboard.state import diagnoses, saving
from attnlib.dashboard.tour.steps import KINDS, STEPS
from attnlib.diagnosis import Certainty, Examined, Finder, Finding
from attnlib.model import demo, objects
from tests.dashboard.driving import finish, numbers, path, png, settle, text, upload

OBJECTS = {image.name: image for image in objects.images()}
MARK = (slice(80, 88), slice(80, 88))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, finders: dict[str, Finder]) -> None:
    """Of the causes only two that are found at once, and not by other tests."""
    for name in ("TASK", "MORE"):
        monkeypatch.setattr(diagnoses, name, f"{name} of the tour")
    finders.clear()
    finders.update({kind: finder(kind) for kind in ("cheap", *KINDS)})


def finder(kind: str) -> Finder:
    def find(examined: Examined, progress: Any) -> list[Finding]:
        return [
            Finding(
                kind=kind,
                scope="set",
                sentence=f"This is what {kind} found.",
                value=1.0,
                threshold=0.5,
                threshold_source="half",
                evidence=(),
                evidence_against=(),
                certainty=Certainty(p_value=0.001, tried=1),
                next_steps="Nothing.",
                mistakes=1,
                images=examined.names[:1],
            )
        ]

    passes = 1 if kind == "cheap" else 10_000
    return Finder(kind, kind, f"{kind}?", find, lambda e: "", lambda e: passes)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=f"tour_{key}").click().run()
    assert not app.exception
    return settle(app)


def turn_to(app: AppTest, page: str) -> AppTest:
    """Another page, to which a browser would have been led."""
    app.switch_page(path(page))
    return finish(app.run())


def begun(app: AppTest) -> AppTest:
    return press(settle(app.run()), "start")


def at_proof(app: AppTest) -> AppTest:
    press(begun(app), "next")
    return finish(press(app, "next"))


def words(app: AppTest) -> str:
    """What the box says."""
    return next(e.value for e in app.markdown if re.match(r"\*\*\d of 3 · ", e.value))


def test_one_click_shows_the_mistakes_of_the_second_demo(app: AppTest) -> None:
    begun(app)
    assert words(app).startswith("**1 of 3 · What went wrong.**")
    samples = app.session_state["session"].samples
    assert [sample.name for sample in samples] == list(OBJECTS)
    assert app.query_params["tour"] == "1"
    assert app.session_state["gallery_only"] == "Wrong"
    right = objects.facts()["embedded"]["right"]
    assert numbers(app)["wrong"] == str(len(OBJECTS) - right)


def test_the_second_step_has_the_planted_causes_looked_for_by_itself(app: AppTest) -> None:
    press(begun(app), "next")
    turn_to(app, "diagnosis")
    assert words(app).startswith("**2 of 3 · Why it went wrong.**")
    for kind in KINDS:
        assert f"This is what {kind} found." in text(app)
    # From a page that it is not about it leads back to its own.
    turn_to(app, "cls_attention")
    assert words(app).startswith("**2 of 3")
    assert "tour_here" in {button.key for button in app.button}
    turn_to(app, "diagnosis")
    assert "tour_here" not in {button.key for button in app.button}
    press(app, "back")
    assert words(app).startswith("**1 of 3")


def pixels(name: str) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(OBJECTS[name].data)).convert("RGB"), np.float64)


def changed(title: str, name: str, other: str | None) -> np.ndarray[Any, Any]:
    """The picture after a proof's change, ``(96, 96, 3)``, from the files alone."""
    made = pixels(name)
    if title == "Erase the mark":
        made[MARK] = made.mean(axis=(0, 1))
        return made
    assert other is not None
    if title == "Paste the mark":
        made[MARK] = pixels(other)[MARK]
        return made
    mask = np.asarray(Image.open(io.BytesIO(OBJECTS[name].mask)), dtype=bool)
    keep = mask.reshape(12, 8, 12, 8).any(axis=(1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return np.where(keep[..., None], made, pixels(other))


def said_of(picture: np.ndarray[Any, Any]) -> tuple[str, float]:
    """Class and probability, by the module alone."""
    vit = attnlib.load(objects.NAME, device="cpu")
    mean, std = np.array(objects.MEAN), np.array(objects.STD)
    given = torch.from_numpy((picture / 255 - mean) / std).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        shares = vit.module(given).softmax(-1)[0]
    return objects.CLASS_NAMES[int(shares.argmax())], float(shares.max())


def test_the_proofs_are_what_the_model_says_of_the_changed_files(app: AppTest) -> None:
    at_proof(app)
    for title in ("Erase the mark", "Paste the mark", "Change the background"):
        app.segmented_control(key="tour_proof").set_value(title).run()
        finish(app)
        name = app.session_state["image"]
        assert app.session_state["change_open"] is True
        pasted = title != "Erase the mark"
        other = app.session_state["change_other"] if pasted else None
        before, after = said_of(pixels(name)), said_of(changed(title, name, other))
        shown = next(e.value for e in app.markdown if e.value.startswith("The model says"))
        for (class_, share), (told, percent) in zip(
            (before, after), re.findall(r"\*\*(.+?)\*\* \((\d+)%\)", shown), strict=True
        ):
            assert told == class_
            assert abs(int(percent) - 100 * share) < 1
        true = OBJECTS[name].label
        assert (before[0] == true, after[0] == true) == (
            (True, False) if title == "Paste the mark" else (False, True)
        )
        # The page below has the same change set, and says the same of it.
        below = next(e.value for e in app.markdown if e.value.startswith("It becomes"))
        assert f"**{after[0]}**" in below


def test_whoever_leaves_has_all_as_it_was(app: AppTest) -> None:
    settle(app.run())
    app.segmented_control(key="gallery_only").set_value("All").run()
    before = dict(app.query_params)
    press(app, "start")
    press(app, "next")
    finish(press(app, "next"))
    assert app.session_state["image"] in OBJECTS
    press(app, "leave")
    turn_to(app, "prediction_debugging")
    assert dict(app.query_params) == before
    session = app.session_state["session"]
    assert [sample.name for sample in session.samples] == [one.name for one in demo.images()]
    assert session.choice.source == "demo"
    assert app.session_state["gallery_only"] == "All"
    assert app.session_state["image"] is None
    assert not saving.worth(session)
    assert "of 3 · " not in text(app)
    for key in (
        "tour_proof",
        "tour_at",
        "tour_before",
        "tour_proof_set",
        "tour_proof_next",
        diagnoses.ASKED,
    ):
        assert key not in app.session_state
    app.session_state["image"] = demo.images()[0].name
    finish(app.run())
    assert not app.session_state["change_open"]


def test_a_link_opens_a_step(app: AppTest) -> None:
    app.query_params["tour"] = str(len(STEPS))
    app.query_params["tour_proof"] = "Paste the mark"
    finish(settle(app.run()))
    assert words(app).startswith("**3 of 3 · The proof.**")
    assert app.session_state["tour_proof"] == "Paste the mark"
    assert app.session_state["session"].choice.source == objects.NAME
    assert not OBJECTS[app.session_state["image"]].marked


@pytest.mark.parametrize("junk", ["4", "-1", "two"])
def test_a_step_that_there_is_not_is_said_so(app: AppTest, junk: str) -> None:
    app.query_params["tour"] = junk
    app.run()
    assert any("Tour: the link says" in toast.value for toast in app.toast)
    settle(app)
    assert not app.exception
    assert app.session_state["session"].choice.source == "demo"


def test_ones_own_images_stay_and_the_box_says_what_to_do(app: AppTest) -> None:
    settle(app.run())
    upload(app, ("mine.png", png(3), "image/png"))
    app.session_state["tour"] = 1
    settle(app.run())
    assert "The tour needs the demo's pictures" in text(app)
    session = app.session_state["session"]
    assert [sample.name for sample in session.samples] == ["mine.png"]
    assert session.choice.source == "demo"
    press(app, "close")
    assert "The tour needs" not in text(app)
