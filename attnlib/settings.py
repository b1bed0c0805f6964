"""What whoever runs this chooses, as environment variables: every one of them is a field here.

``ATTNLIB_MAX_IMAGES`` is the field ``max_images``. A list is written with commas between. Where a
folder ``/run/secrets`` holds a file of a variable's name, as containers have it, its text counts.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from attnlib.errors import SettingsError

PREFIX = "ATTNLIB_"
# Where Docker, Podman and Kubernetes put files with secrets.
SECRETS = Path("/run/secrets")

log = logging.getLogger(__name__)


def _listed(value: Any) -> Any:
    """The parts of a text between commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _plain(value: Any) -> Any:
    return value.strip().rstrip("/") if isinstance(value, str) else value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for part in value:
        ipaddress.ip_network(part, strict=False)
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    for part in value:
        if not re.fullmatch(r"https?://[^/\s?#@,]+", part):
            raise ValueError(part)
    return value


# Each kind of value with the words for what it must be.
Count = Annotated[int, Field(ge=1), "a whole number of at least 1"]
Size = Annotated[ByteSize, Field(ge=1), "a number of bytes, such as 2000000 or 20GB"]
Text = Annotated[str, "a text"]
# What must not be repeated in a message, a log or on a screen.
Secret = Annotated[str, Field(repr=False), "a secret text"]
Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), "a list with commas"]
Networks = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_networks),
    "a list with commas of addresses or networks in numbers, such as 10.0.0.0/8",
]
Origins = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_origins),
    "a list with commas of https://name or https://name:port, without a path",
]
YesNo = Annotated[bool, "1 or 0"]
Url = Annotated[
    str,
    BeforeValidator(_plain),
    Field(pattern=r"^(https?://[^/\s?#]+(/[^\s?#]*)?)?$"),
    "an address that begins with https:// or http://",
]
Demo = Annotated[Literal["demo", "demo-objects"], "demo or demo-objects"]
NoRole = Annotated[Literal["none", "viewer", "editor", "admin"], "none, viewer, editor or admin"]
Level = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
    "debug, info, warning or error",
]


class Settings(BaseSettings):
    """Every setting, read from the environment. Frozen; :func:`current` is the one in use."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", str_strip_whitespace=True
    )

    concurrent_passes: Count = Field(1, description="forward passes at a time; the others queue")
    threads: Count | None = Field(
        None, description="processor threads of one pass; unset, PyTorch's own number"
    )
    cache_mb: Count = Field(
        768, description="memory for results, least recently used out first, in MiB"
    )
    local_files: YesNo | None = Field(
        None,
        description="whether visitors may name checkpoint files of this machine; unset, only where "
        "it serves itself alone",
    )
    model_bytes: Size | None = Field(
        None,
        description="memory that models may take, together and each; unset, half of what there is",
    )
    lrp: YesNo = Field(
        True,
        description="whether methods under the patents on LRP (free for personal and scientific "
        "use) are offered",
    )

    opening_demo: Demo = Field(
        "demo-objects",
        description="the demo that a visit begins with: objects with planted causes, or the "
        "photographs of CIFAR-10 (demo)",
    )
    audits: Listed = Field(
        (), description="folders of audits that whoever reaches this server may look at"
    )

    home: Path | None = Field(
        None, description="folder of what is stored; unset, the user's data folder"
    )
    database_url: Secret = Field("", description="database of workspaces, such as PostgreSQL")
    blobs_url: Secret = Field("", description="where images and weights are stored")

    max_images: Count = Field(50_000, description="stored images of one person")
    max_bytes: Size = Field(ByteSize(20 * 10**9), description="stored bytes of one person")
    max_jobs: Count = Field(4, description="computations of one person at a time")
    max_models: Count = Field(8, description="models that one person has loaded at a time")

    public_url: Url = Field("", description="address under which people reach this server")
    allowed_hosts: Listed = Field(
        (), description="other names under which this server may be asked; * for any"
    )
    allowed_origins: Origins = Field(
        (), description="other sites (https://name) whose pages may connect"
    )
    trusted_proxies: Networks = Field(
        (), description="addresses or networks of proxies whose X-Forwarded headers are believed"
    )

    oidc_metadata_url: Url = Field(
        "", description="the provider's …/.well-known/openid-configuration"
    )
    oidc_client_id: Text = Field("", description="what the provider calls this server")
    oidc_client_secret: Secret = Field("", description="what proves it to the provider")
    cookie_secret: Secret = Field(
        "", description="signs the cookies of those who are signed in; the same on every replica"
    )
    oidc_scope: Text = Field("openid email profile", description="what the provider is asked for")
    session_hours: Count = Field(168, description="hours that a sign-in lasts")
    groups_claim: Text = Field("groups", description="claim that lists a person's groups")
    admins: Listed = Field((), description="e-mail addresses or ids of those who administer")
    admin_groups: Listed = Field((), description="groups whose people administer")
    editor_groups: Listed = Field((), description="groups whose people write")
    viewer_groups: Listed = Field((), description="groups whose people look and comment")
    default_role: NoRole = Field(
        "editor", description="role of everybody else who signs in; none lets nobody else in"
    )

    metrics_token: Secret = Field(
        "", description="bearer token for /metrics; without one only this machine may ask"
    )
    log_level: Level = Field("info", description="the least that is logged")
    log_json: YesNo = Field(False, description="whether log lines are JSON")


def read() -> Settings:
    """The settings that the environment has now.

    Raises:
        SettingsError: values that cannot be used, one sentence for each.
    """
    _warn_of_unknown()
    options: dict[str, Any] = {"_secrets_dir": SECRETS} if SECRETS.is_dir() else {}
    try:
        return Settings(**options)
    except ValidationError as error:
        faults = {str(fault["loc"][0]): fault["input"] for fault in error.errors()}
    raise SettingsError("\n".join(_fault(name, was) for name, was in faults.items()))


_current: Settings | None = None


def current() -> Settings:
    """The settings in use: read once, when somebody first asks.

    Raises:
        SettingsError: as :func:`read`.
    """
    global _current
    if _current is None:
        _current = read()
    return _current


def variable(name: str) -> str:
    """The environment variable of a field."""
    return PREFIX + name.upper()


def must_be(name: str) -> str:
    """What a field must be, in words."""
    (words,) = (kind for kind in _kinds(name) if isinstance(kind, str))
    return words


def shown(name: str) -> str:
    """The default of a field as one would write it; "" for none."""
    default = Settings.model_fields[name].default
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return str(int(default))
    return default.human_readable(decimal=True) if isinstance(default, ByteSize) else str(default)


def _kinds(name: str) -> list[Any]:
    """What stands in the annotation of a field, which may be one with None."""
    field = Settings.model_fields[name]
    found = list(field.metadata)
    for part in getattr(field.annotation, "__args__", ()):
        found += getattr(part, "__metadata__", ())
    if field.annotation in (Path | None,):
        found.append("the path of a folder")
    return found


def _fault(name: str, was: object) -> str:
    field = Settings.model_fields[name]
    given = "" if not field.repr else f", not {was!r}"
    default = shown(name)
    return f"{variable(name)} ({field.description}) must be {must_be(name)}{given}. " + (
        f"Unset it for {default}." if default else "It may be unset."
    )


def _warn_of_unknown() -> None:
    known = [variable(name) for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            log.warning("The environment variable %s is not a setting of attnlib%s", name, hint)
