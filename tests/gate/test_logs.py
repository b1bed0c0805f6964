"""Lines of the log: readable by a machine, one each, and without what a person chose."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit import logger as streamlit_logger

from attnlib.dashboard.gate import logs
from tests.gate.asking import ask, signed_in


@pytest.fixture
def written(setting: Callable[..., Any]) -> Iterator[io.StringIO]:
    """Everything that is logged, as JSON."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    setting(log_json=True, log_level="info")
    logs.set_up()
    stream, out = logs._HANDLER.stream, io.StringIO()
    logs._HANDLER.setStream(out)
    yield out
    logs._HANDLER.setStream(stream)
    root.setLevel(before[0])
    for handler in (logs._HANDLER, logs.ERRORS):
        if handler not in before[1]:
            root.removeHandler(handler)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_name(written: io.StringIO) -> None:
    ask("/cls-attention", headers={"x-request-id": "abc"})
    (line,) = lines(written)
    assert line["request"] == "abc"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["message"].startswith("GET /cls-attention 200 in ")
    assert line["level"] == "info"
    assert line["time"].endswith("Z")


def test_nothing_that_a_person_chose_stands_in_it(written: io.StringIO, signing_in: Any) -> None:
    mark = "secretname"
    for path in ("/", "/cls-attention", f"/{mark}", f"/a/{mark}", f"/_stcore/upload_file/a/{mark}"):
        for method in ("GET", "PUT"):
            ask(path, method=method, query=f"image={mark}", host="vit.example.org")
            ask(path, method=method, query=mark, host=mark, cookies=signed_in(mark))
    ask("/_stcore/stream", websocket=True, query=mark, headers={"origin": f"http://{mark}"})
    assert len(lines(written)) == 21
    assert mark not in written.getvalue()


def test_loggers_of_streamlit_and_the_server_write_the_same_lines(written: io.StringIO) -> None:
    streamlit_logger.get_logger("streamlit.made.late")
    logs.set_up()
    for name in ("streamlit.made.late", "uvicorn.error", "attnlib.x"):
        logging.getLogger(name).warning("two\nlines of %s", name)
    # Its lines would hold whole addresses.
    logging.getLogger("uvicorn.access").info("GET /?image=secret")
    logging.getLogger("httpx2").info("GET https://provider/?code=secret")
    found = lines(written)
    assert [line["logger"] for line in found] == [
        "streamlit.made.late",
        "uvicorn.error",
        "attnlib.x",
    ]
    assert found[0]["message"] == "two\nlines of streamlit.made.late"


def test_a_text_with_a_line_break_is_one_line(
    written: io.StringIO, setting: Callable[..., Any]
) -> None:
    setting(log_json=False)
    logs.set_up()
    logging.getLogger("attnlib.x").info("one\n2026-01-01 INFO forged\r")
    (line,) = written.getvalue().splitlines()
    assert line.endswith("one\\n2026-01-01 INFO forged\\r")


def test_an_error_has_its_traceback_and_is_counted(written: io.StringIO) -> None:
    before = logs.ERRORS.count
    try:
        raise ValueError("what happened")
    except ValueError:
        logging.getLogger("attnlib.x").exception("it failed")
    (line,) = lines(written)
    assert "ValueError: what happened" in line["exception"]
    assert logs.ERRORS.count == before + 1


def test_the_level_is_that_of_the_settings(
    written: io.StringIO, setting: Callable[..., Any]
) -> None:
    setting(log_level="warning")
    logs.set_up()
    ask("/cls-attention")
    assert written.getvalue() == ""
    setting(log_level="debug")
    logs.set_up()
    ask("/static/js/a.js")
    assert "/static/js/a.js" in written.getvalue()
