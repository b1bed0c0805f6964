"""Lines of the log: text or JSON, each with the name of its request.

What is logged at the level `info` holds no text that a person chose: of a request the path alone.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar

from streamlit import logger as streamlit_logger

from attnlib import settings

REQUEST: ContextVar[str] = ContextVar("request", default="")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TEXT = "%(asctime)s %(levelname)-7s %(name)s %(request)s%(message)s"
_UVICORN = ("uvicorn", "uvicorn.error")
# Of libraries that say at `info` what they were asked for, addresses among it.
_TALKATIVE = ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "websockets")


def request_name(said: str | None) -> str:
    """The name of a request: as its header says, if that is well-formed, or a new one."""
    return said if said and _NAME.fullmatch(said) else uuid.uuid4().hex


class _Json(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if REQUEST.get():
            line["request"] = REQUEST.get()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        record.request = f"[{REQUEST.get()}] " if REQUEST.get() else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        # What holds a line break cannot pretend to be two lines.
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


class Counter(logging.Handler):
    """How many records of the level `error` and above there were."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


ERRORS = Counter()
_HANDLER = logging.StreamHandler()


def set_up() -> None:
    """Have every logger of this process write as the settings say. May be called again.

    Streamlit gives each of its loggers a handler of its own when it is first asked for.
    """
    chosen = settings.current()
    level = chosen.log_level.upper()
    _HANDLER.setFormatter(_Json() if chosen.log_json else _Text())
    root = logging.getLogger()
    for handler in (_HANDLER, ERRORS):
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(level)
    streamlit_logger.set_log_level(level)
    theirs = [*streamlit_logger._loggers.values(), *map(logging.getLogger, _UVICORN)]
    for found in theirs:
        found.handlers.clear()
        found.propagate = True
    # Its lines hold queries, and so names of images; the gate's own do not.
    logging.getLogger("uvicorn.access").disabled = True
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
