"""Whether the process lives, and whether it is ready: for whoever watches it, without a sign-in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from attnlib.dashboard.state import health

# A check that hangs is one that fails.
PATIENCE = 5.0  # seconds
# Whoever asks more often hears the same: nobody needs a sign-in to ask.
FRESH = 1.0  # seconds


async def alive(request: Request) -> PlainTextResponse:
    """The process answers."""
    return PlainTextResponse("ok")


@dataclass
class _Readiness:
    """What the checks said last, and the asking that is under way."""

    failing: list[str] = field(default_factory=list)
    asked: float = -FRESH
    under_way: asyncio.Task[list[str]] | None = None

    async def now(self) -> list[str]:
        if time.monotonic() - self.asked < FRESH:
            return self.failing
        # One that hangs takes up one thread, however often it is asked.
        if self.under_way is None or self.under_way.done():
            self.under_way = asyncio.create_task(asyncio.to_thread(health.unready))
        try:
            self.failing = await asyncio.wait_for(asyncio.shield(self.under_way), PATIENCE)
        except TimeoutError:
            self.failing = ["a check that does not end"]
        self.asked = time.monotonic()
        return self.failing


_READINESS = _Readiness()


async def ready(request: Request) -> JSONResponse:
    """Everything that visitors need works; otherwise the names of what does not."""
    failing = await _READINESS.now()
    status = HTTPStatus.SERVICE_UNAVAILABLE if failing else HTTPStatus.OK
    return JSONResponse({"ready": not failing, "failing": failing}, status)
