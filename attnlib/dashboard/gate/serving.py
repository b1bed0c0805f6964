"""What the app is served with: settings that hold, the gate, its own addresses, the sign-in."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit import config

from attnlib import settings
from attnlib.dashboard.gate import health, logs, metrics, wanted
from attnlib.dashboard.gate.middleware import Gate
from attnlib.dashboard.state import signed, startup
from attnlib.errors import SettingsError


def options() -> dict[str, Any]:
    """For ``st.App``. Where a setting cannot be used, the process ends with a sentence for each."""
    try:
        chosen = settings.current()
        secrets = signed.secrets()
        signed.check()
    except SettingsError as error:
        sys.exit(str(error))
    logs.set_up()
    allowed = [*config.get_option("server.corsAllowedOrigins"), *chosen.allowed_origins]
    if chosen.public_url:
        allowed.append(chosen.public_url)
    # Streamlit judges for itself, too, whose pages may connect.
    config.set_option("server.corsAllowedOrigins", allowed)
    return {
        "lifespan": _lifespan,
        "routes": [*startup.ROUTES, *_routes()],
        "middleware": [Middleware(Gate)],
        "secrets": secrets,
    }


def _routes() -> list[Route]:
    base = wanted.base()
    return [
        Route(f"{base}/healthz", health.alive),
        Route(f"{base}/readyz", health.ready),
        Route(f"{base}/metrics", metrics.show),
    ]


@asynccontextmanager
async def _lifespan(app: object) -> AsyncIterator[None]:
    # Loggers that were made since write as the others do.
    logs.set_up()
    async with startup.lifespan(app):
        yield
