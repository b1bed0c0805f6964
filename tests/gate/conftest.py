"""A sign-in that is configured, and one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit import config
from streamlit.runtime.secrets import secrets_singleton

from attnlib.dashboard.state import people
from tests.gate.asking import ORIGIN, SECRET


@pytest.fixture(autouse=True)
def laptop(setting: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody signs in, and no test leaves anything behind."""
    monkeypatch.setattr(people, "_SEEN_ON", type(people._SEEN_ON)())
    people._configured.cache_clear()
    options = ("server.corsAllowedOrigins", "server.cookieSecret", "server.baseUrlPath")
    before = {name: config.get_option(name) for name in options}
    secrets_singleton._reset()
    yield
    secrets_singleton._reset()
    for name, value in before.items():
        config.set_option(name, value)


@pytest.fixture
def signing_in(laptop: None) -> dict[str, Any]:
    """People sign in, at an address of a host."""
    auth = {
        "redirect_uri": f"{ORIGIN}/oauth2callback",
        "cookie_secret": SECRET,
        "client_id": "vit",
        "client_secret": "between us",
        "server_metadata_url": "https://provider.example/.well-known/openid-configuration",
    }
    secrets_singleton.merge_programmatic_secrets({"auth": auth})
    return auth
