"""What the server does once: it finds its files, and is warm before the first visitor comes."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from attnlib import settings
from attnlib.capture import admission
from attnlib.dashboard.state import callbacks, garbage, health, models, presence, session, storage
from attnlib.errors import AttnlibError

_PACKAGE = Path(__file__).parents[2]
MAIN = _PACKAGE / "dashboard" / "main.py"
# In a checkout the pages lie beside the package, in an installed wheel within it.
PAGES = next(top for top in (_PACKAGE / "_app", _PACKAGE.parent) if (top / "pages").is_dir()) / (
    "pages"
)
# Of every page; the first answers at the root.
ADDRESSES = ("/", *(f"/{page.name.replace('_', '-')}" for page in sorted(PAGES.iterdir())))
# A page lets the interpreter go some hundred times while it is drawn, and gets it back from
# somebody else only after this long: at Python's own 5 ms that alone is half a second.
SWITCH_S = 0.0005
# A picture of our own: a named icon is fetched from an outside host for the browser's tab.
ICON = _PACKAGE / "dashboard" / "icon.png"


async def _home(request: Request) -> RedirectResponse:
    """The first page answers at ``/`` only; its name is an address too, with all that it says."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"./{query}")


ROUTES = [Route("/prediction-debugging", _home)]


@dataclass
class _Warm:
    """Whether the first visitor would be served at once."""

    done: bool = False

    def check(self) -> None:
        if not self.done:
            raise AttnlibError("The demo model is still being loaded.")


_WARM = _Warm()


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Load the demo model and its images before anybody is served."""
    await asyncio.to_thread(_warm)
    yield


def _warm() -> None:
    health.register("model", _WARM.check)
    health.register("store", storage.ready)
    once()
    models.get(models.opening())
    session.demo_samples()
    _WARM.done = True
    threading.Thread(target=storage.tidy, daemon=True).start()


@st.cache_resource(max_entries=1, show_spinner=False)
def once() -> bool:
    """Settle the process: threads of a pass, whose it is, garbage, and that clicks are done."""
    threads = settings.current().threads
    if threads is not None:
        torch.set_num_threads(threads)
    sys.setswitchinterval(SWITCH_S)
    admission.found_by(presence.asker)
    garbage.keep_settled()
    callbacks.finish()
    return True
