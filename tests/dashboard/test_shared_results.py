"""What was computed for an image is there when one comes back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from attnlib.dashboard.compare import closed_form
from attnlib.dashboard.heads import averaged
from attnlib.dashboard.state import results
from attnlib.errors import AttnlibError
from attnlib.evaluation import faithfulness, randomisation
from attnlib.model import demo
from tests.dashboard.driving import finish, png, settle, text, upload

A, B = (image.name for image in demo.images()[:2])
COMPARE, HEADS = "../../pages/rollout_vs_flow/page.py", "../../pages/head_similarity/page.py"


@pytest.fixture(autouse=True)
def empty_store() -> None:
    results.store.clear()  # type: ignore[attr-defined]


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[int]:
    """One entry for each call of a function."""
    calls: list[int] = []
    real: Callable[..., Any] = getattr(module, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, counting)
    return calls


def opened(app: AppTest, page: str, image: str) -> AppTest:
    app.session_state["image"] = image
    return finish(app.switch_page(page).run())


@pytest.mark.parametrize(
    ("part", "module", "name", "shown"),
    [
        ("Faithfulness", faithfulness, "evaluate", "Deletion"),
        ("Randomised weights", randomisation, "cascade", "From left to right"),
        ("Maps", closed_form, "over_layers", "Patches for which"),
    ],
)
def test_from_one_image_to_another_and_back(
    app: AppTest, monkeypatch: pytest.MonkeyPatch, part: str, module: Any, name: str, shown: str
) -> None:
    calls = counted(monkeypatch, module, name)
    app.query_params["compare_part"] = part
    settle(app.run())
    each = 0
    for image, expected in ((A, 1), (B, 2), (A, 2), (B, 2)):
        opened(app, COMPARE, image)
        assert shown in text(app)
        # How often for one image: the curves, and the question which method to believe.
        each = each or len(calls)
        assert len(calls) == expected * each, (image, expected)


def test_head_effects_of_an_image_and_of_all(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = counted(monkeypatch, averaged, "mean_effects")
    settle(app.run())
    opened(app, HEADS, A)
    label = "Remove every head in turn, on"
    # Of wrong images twice: without each head, and with a stranger's in its place.
    for scope, expected in (("All wrong images", 2), ("All right images", 3)):
        app.segmented_control(key="heads_effect_scope").set_value(scope).run()
        monkeypatch.setattr(averaged, "LISTED", 1)
        next(button for button in app.button if button.label.startswith(label)).click()
        opened(app, HEADS, A)
        assert len(calls) == expected
    # A second visitor, who asks for nothing.
    other = AppTest.from_file(str(app._script_path), default_timeout=120)
    settle(other.run())
    opened(other, HEADS, A)
    other.segmented_control(key="heads_effect_scope").set_value("All wrong images").run()
    assert not any(button.label.startswith(label) for button in other.button)
    assert "Mean over" in text(other)
    assert len(calls) == 3


def test_a_visitors_file_names_do_not_reach_another(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the same images under other names finds no result that holds these names."""

    def refuse(*_: object, **__: object) -> None:
        raise AttnlibError("not today")

    kept: dict[str, tuple[str, str]] = {}
    keep = results.keep

    def keeping(key: Any, result: object) -> None:
        kept[key[0]] = repr(key), repr(result)
        keep(key, result)

    monkeypatch.setattr(results, "keep", keeping)
    settle(app.run())
    upload(app, *((f"secret{i}.png", png(i), "image/png") for i in range(2)))
    opened(app, HEADS, "secret0.png")
    app.segmented_control(key="heads_section").set_value("Similarity").run()
    app.segmented_control(key="heads_scope").set_value("All images").run()
    opened(app, HEADS, "secret0.png")
    monkeypatch.setattr(faithfulness, "evaluate", refuse)
    opened(app, COMPARE, "secret0.png")
    app.segmented_control(key="compare_part").set_value("Faithfulness").run()
    opened(app, COMPARE, "secret0.png")
    label = "Deletion and insertion of 2 images"
    next(button for button in app.button if button.label == label).click()
    opened(app, COMPARE, "secret0.png")
    named = {name for name, (_, result) in kept.items() if "secret" in result}
    assert named == {"pair of heads", "compare_all"}
    for name in named:
        assert "secret0.png" in kept[name][0] and "secret1.png" in kept[name][0]
