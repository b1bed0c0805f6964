"""What the app starts with, and what it does not start with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit import config
from streamlit.auth_util import decode_provider_token
from streamlit.runtime.secrets import secrets_singleton

from attnlib.dashboard.gate import serving
from attnlib.dashboard.state import signed
from attnlib.errors import SettingsError
from tests.gate.asking import ORIGIN, SECRET, ask

FULL = {
    "public_url": "https://vit.example.org/app",
    "oidc_metadata_url": "https://provider.example/.well-known/openid-configuration",
    "oidc_client_id": "vit",
    "oidc_client_secret": "between us",
    "cookie_secret": SECRET,
}


def test_without_a_word_nobody_signs_in() -> None:
    assert signed.secrets() is None
    assert serving.options()["secrets"] is None


def test_a_public_address_alone_is_no_sign_in(setting: Callable[..., Any]) -> None:
    setting(public_url="https://vit.example.org")
    assert signed.secrets() is None


def test_the_settings_become_streamlits_secrets(setting: Callable[..., Any]) -> None:
    setting(**FULL)
    auth = serving.options()["secrets"]["auth"]
    assert auth["redirect_uri"] == "https://vit.example.org/app/oauth2callback"
    assert auth["client_kwargs"] == {"scope": "openid email profile", "prompt": "login"}
    assert config.get_option("server.cookieSecret") == SECRET
    assert "https://vit.example.org/app" in config.get_option("server.corsAllowedOrigins")
    # Before Streamlit has taken them over, the doors are shut already.
    assert not ask("/").reached


@pytest.mark.parametrize("name", list(FULL))
def test_half_a_sign_in_does_not_start(setting: Callable[..., Any], name: str) -> None:
    setting(**{**FULL, name: ""})
    with pytest.raises(SettingsError, match=f"in part: ATTNLIB_{name.upper()} must be set"):
        signed.secrets()
    with pytest.raises(SystemExit) as ended:
        serving.options()
    assert SECRET not in str(ended.value)


def test_a_secret_that_can_be_guessed_does_not_start(
    setting: Callable[..., Any], signing_in: dict[str, Any]
) -> None:
    setting(**{**FULL, "cookie_secret": "x" * 31})
    with pytest.raises(SettingsError, match="at least 32 bytes"):
        signed.secrets()
    secrets_singleton.merge_programmatic_secrets({"auth": {**signing_in, "cookie_secret": "short"}})
    with pytest.raises(SettingsError, match="at least 32 bytes"):
        signed.check()


def test_without_what_it_needs_it_does_not_start(
    signing_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed.check()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"attnlib\[signin\]"):
        signed.check()


def test_a_file_of_secrets_that_cannot_be_read_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text("[auth\nclient_id = 'vit'")
    read = config.get_option
    options = {"secrets.files": [str(tmp_path / "no.toml"), str(file)]}
    monkeypatch.setattr(config, "get_option", lambda name: options.get(name, read(name)))
    with pytest.raises(SettingsError, match=r"secrets\.toml cannot be read"):
        signed.check()
    file.write_text("")
    signed.check()


@pytest.mark.parametrize("named", [False, True])
def test_a_sign_in_begins_at_the_provider_that_is_configured(
    signing_in: dict[str, Any], named: bool
) -> None:
    if named:
        own = ("redirect_uri", "cookie_secret")
        auth: dict[str, Any] = {key: signing_in[key] for key in own}
        auth["keycloak"] = {key: signing_in[key] for key in signing_in if key not in own}
        secrets_singleton.merge_programmatic_secrets({"auth": auth})
    answer = ask("/sign-in", host=ORIGIN.removeprefix("https://"))
    place, _, token = answer.headers["location"].partition("?provider=")
    assert (answer.status, place) == (303, "/auth/login")
    assert decode_provider_token(token)["provider"] == ("keycloak" if named else "default")
