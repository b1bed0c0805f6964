"""The sign-in as Streamlit has it: its configuration, and who a request's cookie says it is of."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamlit import config
from streamlit.auth_util import (
    get_cookie_with_chunks,
    get_origin_from_redirect_uri,
    get_secrets_auth_section,
)
from streamlit.runtime.secrets import secrets_singleton
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from attnlib import settings
from attnlib.dashboard.state import people
from attnlib.errors import SettingsError, SignInError
from attnlib.store.people import Person

CALLBACK = "/oauth2callback"
# Bytes of a secret below which a signature can be guessed.
SHORTEST_SECRET = 32
_NEEDED = ("public_url", "oidc_metadata_url", "oidc_client_id", "oidc_client_secret")


def secrets() -> dict[str, Any] | None:
    """What the settings say of the sign-in, as Streamlit's secrets have it; None for nothing.

    Raises:
        SettingsError: something is missing for it.
    """
    chosen = settings.current()
    needed = (*_NEEDED, "cookie_secret")
    if not any(getattr(chosen, name) for name in needed[1:]):
        return None
    missing = [settings.variable(name) for name in needed if not getattr(chosen, name)]
    if missing:
        raise SettingsError(
            f"The sign-in is configured in part: {', '.join(missing)} must be set, too."
        )
    _check_secret(chosen.cookie_secret, "ATTNLIB_COOKIE_SECRET")
    # Streamlit signs the cookies of a sign-in under way before it reads the secrets.
    config.set_option("server.cookieSecret", chosen.cookie_secret)
    return {
        "auth": {
            "redirect_uri": chosen.public_url + CALLBACK,
            "cookie_secret": chosen.cookie_secret,
            "client_id": chosen.oidc_client_id,
            "client_secret": chosen.oidc_client_secret,
            "server_metadata_url": chosen.oidc_metadata_url,
            # Streamlit's own `select_account` is refused by strict providers.
            "client_kwargs": {"scope": chosen.oidc_scope, "prompt": "login"},
        }
    }


def check() -> None:
    """What must hold for the sign-in before anybody is served, wherever it is configured.

    Raises:
        SettingsError: a file with secrets cannot be read, so that nobody would have to sign in;
            a secret can be guessed; or what the sign-in needs is not installed.
    """
    files = [file for file in config.get_option("secrets.files") if Path(file).exists()]
    if files and not secrets_singleton.load_if_toml_exists():
        raise SettingsError(f"{files[0]} cannot be read as TOML. Mend it, or take it away.")
    section = get_secrets_auth_section()
    if section:
        _check_secret(str(section.get("cookie_secret", "")), "cookie_secret in [auth]")
    if section or settings.current().oidc_client_id:
        _check_installed()


def _check_secret(secret: str, name: str) -> None:
    if len(secret.encode()) < SHORTEST_SECRET:
        raise SettingsError(
            f"{name} must have at least {SHORTEST_SECRET} bytes, drawn at random: "
            "`python -c 'import secrets; print(secrets.token_hex())'` makes one."
        )


def _check_installed() -> None:
    there = [importlib.util.find_spec(name) is not None for name in ("authlib", "httpx2", "httpx")]
    if not there[0] or not any(there[1:]):
        raise SettingsError(
            "The sign-in needs Authlib and httpx2: install them with "
            "`python -m pip install 'attnlib[signin]'`."
        )


def public_origin() -> str:
    """Scheme, host and port under which the provider sends people back; "" without a sign-in."""
    return get_origin_from_redirect_uri() or ""


def login_path() -> str:
    """Where a sign-in begins: an address that is good for some minutes."""
    section = get_secrets_auth_section()
    # The provider itself stands in the section, or in one below it that has a name.
    named = [key for key, value in section.items() if "client_id" in _mapping(value)]
    return generate_login_redirect_url("default" if "client_id" in section else named[0])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def of_cookies(cookies: Mapping[str, str]) -> Person:
    """The person whom Streamlit signed in, by the cookies of a request.

    Raises:
        SignInError: nobody, or somebody who may not use this server.
    """
    return people.of_claims(_claims(cookies))


def _claims(cookies: Mapping[str, str]) -> dict[str, Any]:
    """The provider's claims in the cookie, if its signature is ours and it was given for here."""
    secret = get_cookie_secret()

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1")) if value else None

    signed = get_cookie_with_chunks(one, USER_COOKIE_NAME)
    try:
        found = json.loads(signed) if signed else None
    except ValueError:
        found = None
    origin = public_origin()
    if not isinstance(found, dict) or not origin or found.get("origin") != origin:
        raise SignInError("Nobody is signed in. Sign in to go on.")
    return found
