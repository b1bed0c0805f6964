"""Every control of every page says in a sentence what it does."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.driving import PAGES, settle

KINDS = (
    "button",
    "selectbox",
    "multiselect",
    "slider",
    "select_slider",
    "number_input",
    "text_input",
    "text_area",
    "toggle",
    "checkbox",
    "segmented_control",
    "file_uploader",
)


def silent(app: AppTest) -> list[str]:
    """Controls without a help text."""
    found = []
    for kind in KINDS:
        for element in app.get(kind):
            if not getattr(element.proto, "help", ""):
                found.append(f"{kind} {getattr(element, 'label', '')!r} {element.key}")
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_control_says_what_it_does(app: AppTest, name: str) -> None:
    settle(app.run())
    app.switch_page(f"../../pages/{name}/page.py").run()
    assert not app.exception
    seen = silent(app)
    key, parts = PAGES[name]
    for part in parts:
        app.segmented_control(key=key).set_value(part).run()
        assert not app.exception, part
        seen += silent(app)
    assert not seen
    assert len(app.get("selectbox")) + len(app.get("segmented_control")) >= 2


def test_a_browser_that_missed_a_run_knows_every_value(app: AppTest) -> None:
    """What a control is told as its default is what it holds, though the session says it too.

    A browser that never saw the run in which a value was set takes the default for what the
    visitor chose, and sends it back.
    """
    settle(app.run())
    # In a run of its own nothing is set anew: the browser is told defaults alone.
    app.run()
    known = {element.key: element for element in app.selectbox}
    interpolation = known["pre_interpolation"]
    assert interpolation.value == "bicubic" and interpolation.options[0] != "bicubic"
    for element in app.selectbox:
        told = element.proto.default if element.proto.HasField("default") else None
        assert told == (None if element.value is None else element.index), element.key
    for element in (*app.toggle, *app.text_input):
        assert element.proto.default == element.value, element.key
    for element in app.number_input:
        assert element.proto.default == element.value, element.key
    for element in app.slider:
        assert list(element.proto.default) == [element.value], element.key
