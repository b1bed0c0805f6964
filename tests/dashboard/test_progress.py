"""Every page shows how far the inspection is, what it refused, and how to go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.parts import progress
from attnlib.dashboard.state import inspection, models, results
from attnlib.dashboard.state.models import ModelChoice
from attnlib.errors import AttnlibError, ModelError, NotFinite, OutOfMemory
from attnlib.model import demo
from tests.dashboard.driving import settle, text

PAGES = [
    f"../../pages/{name}/page.py"
    for name in (
        "prediction_debugging",
        "cls_attention",
        "head_similarity",
        "rollout_vs_flow",
        "attention_walkthrough",
        "complexity_calculator",
    )
]
NAMES = [image.name for image in demo.images()]
inspect = results.inspect


class Held:
    """The inspection's own access to the model, which can be held up or made to fail."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.refused: set[str] = set()

    def inspect(self, choice: Any, vit: Any, batch: list[Any]) -> list[Any]:
        assert self.gate.wait(120)
        if self.error is not None:
            raise self.error
        return [
            NotFinite("Its values are not finite.") if sample.name in self.refused else result
            for sample, result in zip(batch, inspect(choice, vit, batch), strict=True)
        ]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held()

    class Instead:
        inspect = made.inspect
        Inspected = results.Inspected

    monkeypatch.setattr(inspection, "results", Instead)
    yield made
    made.gate.set()


def bars(app: AppTest) -> list[str]:
    assert not app.exception
    return [bar.proto.text for bar in app.get("progress")]


def test_no_page_waits_for_the_first_image(app: AppTest, held: Held) -> None:
    """Nothing at all comes back from the model until every page has been drawn."""
    held.gate.clear()
    app.query_params["image"] = NAMES[-1]
    app.run()
    for page in PAGES:
        app.switch_page(page).run()
        assert "Inspecting: 0 of 80 images" in bars(app), page
    app.switch_page("../../pages/cls_attention/page.py").run()
    assert "waits for its turn" in text(app)
    job = app.session_state["session"].job
    assert job.first == NAMES[-1]
    held.gate.set()
    settle(app)
    assert not bars(app)
    assert NAMES[-1] in text(app)


@pytest.mark.parametrize(
    ("done", "shown", "missed", "waiting", "finished", "again"),
    [
        (0, 0, False, True, False, False),
        (1, 0, False, True, False, True),
        (1, 1, False, True, False, False),
        (2, 1, False, True, False, True),
        (13, 6, False, True, False, False),
        (14, 6, False, True, False, True),
        (119, 100, False, True, False, False),
        (125, 100, False, True, False, True),
        (101, 100, True, True, False, False),
        (101, 100, True, False, False, True),
        (101, 100, False, False, False, False),
        (101, 100, False, False, True, True),
    ],
)
def test_when_the_page_is_drawn_again(
    done: int, shown: int, missed: bool, waiting: bool, finished: bool, again: bool
) -> None:
    job: Any = SimpleNamespace(done=done, finished=finished, first="a", waits=lambda _: waiting)
    assert progress.more(job, shown, missed) == again


def test_a_stopped_inspection_can_be_continued_on_every_page(app: AppTest, held: Held) -> None:
    held.error = OutOfMemory("The device ran out of memory.")
    app.run()
    job = app.session_state["session"].job
    for page in PAGES:
        app.switch_page(page)
        settle(app)
        assert not app.exception
        error = next(e for e in app.error if "out of memory" in e.value)
        assert error.proto.title == "Stopped after 0 of 80 images"
        app.button(key="continue_job").click().run()
        assert app.session_state["session"].job is job
    held.error = None
    settle(app)
    app.button(key="continue_job").click().run()
    settle(app)
    assert not app.error
    assert job.done == 80 and not job.failure


def test_refusals_are_on_every_page_and_at_the_image(app: AppTest, held: Held) -> None:
    held.refused = {NAMES[5]}
    settle(app.run())
    app.session_state["image"] = NAMES[5]
    for page in PAGES:
        app.switch_page(page).run()
        assert not app.exception
        expander = next(e for e in app.expander if "could not be used" in e.label)
        assert expander.label == "1 file could not be used"
        table = expander.dataframe[0].value
        assert table.to_dict("records") == [
            {"file": NAMES[5], "reason": "Its values are not finite."}
        ]
    app.switch_page("../../pages/cls_attention/page.py").run()
    assert "Its values are not finite." in [w.value for w in app.warning]
    assert len(app.session_state["session"].job.outcomes) == 79


def test_a_model_that_failed_can_be_tried_again_from_the_demo(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    wishes: list[str] = []
    works, get = [False], models.get

    def loading(choice: ModelChoice, upload: bytes | None = None) -> Any:
        if choice.source == "demo":
            return get(choice, upload)
        wishes.append(choice.source)
        if not works[0]:
            raise ModelError("No network.")
        return get(models.opening())

    monkeypatch.setattr(models, "get", loading)
    monkeypatch.setattr(models, "timm_names", lambda: ["vit_tiny_patch16_224"])
    settle(app.run())

    def choose() -> None:
        app.selectbox(key="source").set_value("timm").run()
        app.selectbox(key="model").set_value("vit_tiny_patch16_224").run()

    choose()
    assert any("No network." in error.value for error in app.error)
    app.run()
    assert len(wishes) == 1, "a wish that failed is not tried again at every click"
    app.selectbox(key="source").set_value("demo").run()
    works[0] = True
    choose()
    settle(app)
    assert len(wishes) > 1
    assert not app.error
    assert app.session_state["session"].choice.source == "vit_tiny_patch16_224"


def test_the_walk_needs_one_pass_for_all_queries_of_a_layer(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.store.clear()  # type: ignore[attr-defined]
    settle(app.run())
    app.session_state["image"] = NAMES[11]
    app.switch_page("../../pages/attention_walkthrough/page.py").run()
    assert not app.exception

    def none(*_: object, **__: object) -> None:
        raise AttnlibError("A pass was run.")

    monkeypatch.setattr("attnlib.capture.passes.forward", none)
    for query in (0, 30, 64):
        app.session_state["walk_query"] = query
        app.run()
        assert not app.exception
        assert not app.warning
    app.selectbox(key="walk_layer").set_value("1").run()
    assert any("A pass was run." in w.value for w in app.warning), "another layer is another pass"
