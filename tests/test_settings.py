"""What the environment says, and what is said of what it must not."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnlib import settings
from attnlib.errors import SettingsError
from attnlib.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ATTNLIB_"):
            monkeypatch.delenv(name)


def test_nothing_said_is_every_default() -> None:
    found = settings.read()
    assert found.concurrent_passes == 1
    assert found.threads is None
    assert found.local_files is None
    assert found.max_bytes == 20_000_000_000
    assert found.admins == ()
    assert found.metrics_token == ""


@pytest.mark.parametrize(
    ("name", "said", "means"),
    [
        ("concurrent_passes", " 3 ", 3),
        ("local_files", "1", True),
        ("local_files", "0", False),
        ("model_bytes", "2GiB", 2 * 2**30),
        ("max_bytes", "2000000", 2_000_000),
        ("home", "/srv/vit", Path("/srv/vit")),
        ("admins", "a@b.c, d@e.f ,", ("a@b.c", "d@e.f")),
        ("admins", "", ()),
        ("trusted_proxies", "10.1.2.3/8,::1", ("10.1.2.3/8", "::1")),
        ("allowed_origins", "https://a.b:8443", ("https://a.b:8443",)),
        ("public_url", "https://vit.example.org/", "https://vit.example.org"),
        ("log_level", "INFO", "info"),
        ("default_role", "none", "none"),
    ],
)
def test_a_variable_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str, means: object
) -> None:
    monkeypatch.setenv(settings.variable(name), said)
    assert getattr(settings.read(), name) == means


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("concurrent_passes", "0"),
        ("threads", "two"),
        ("threads", ""),
        ("cache_mb", "1.5"),
        ("local_files", "perhaps"),
        ("max_bytes", "many"),
        ("max_bytes", "-1"),
        ("public_url", "vit.example.org"),
        ("public_url", "https://vit.example.org/?a=b"),
        ("oidc_metadata_url", "file:///etc/passwd"),
        ("default_role", "owner"),
        ("trusted_proxies", "10.0.0.1, proxy.example"),
        ("trusted_proxies", "10.0.0.0/33"),
        ("allowed_origins", "portal.example"),
        ("allowed_origins", "https://portal.example/path"),
        ("log_level", "loud"),
    ],
)
def test_a_wrong_value_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setenv(settings.variable(name), said)
    with pytest.raises(SettingsError) as caught:
        settings.read()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(settings.variable(name))
    assert f"must be {settings.must_be(name)}, not {said!r}." in line


def test_every_fault_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNLIB_THREADS", "-1")
    monkeypatch.setenv("ATTNLIB_LOG_JSON", "2")
    with pytest.raises(SettingsError) as caught:
        settings.read()
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "ATTNLIB_THREADS",
        "ATTNLIB_LOG_JSON",
    ]


def test_every_field_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert settings.must_be(name)
        assert field.description, name
        assert "|" not in field.description


def test_a_secret_is_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ["database_url", "blobs_url", "oidc_client_secret", "cookie_secret", "metrics_token"]
    for name in secrets:
        monkeypatch.setenv(settings.variable(name), f"hunter2-{name}")
    found = settings.read()
    assert all(getattr(found, name) == f"hunter2-{name}" for name in secrets)
    assert "hunter2" not in repr(found) + str(found)


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "SECRETS", tmp_path)
    (tmp_path / "attnlib_metrics_token").write_text("from a file\n")
    assert settings.read().metrics_token == "from a file"
    monkeypatch.setenv("ATTNLIB_METRICS_TOKEN", "from the environment")
    assert settings.read().metrics_token == "from the environment"


def test_what_is_no_setting_is_named_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ATTNLIB_TREADS", "secret value")
    monkeypatch.setenv("ATTNLIB_ZZZZZZZZZ", "1")
    with caplog.at_level(logging.WARNING):
        settings.read()
    one, other = caplog.messages
    assert "ATTNLIB_TREADS" in one and "did you mean ATTNLIB_THREADS?" in one
    assert "ATTNLIB_ZZZZZZZZZ" in other and "did you mean" not in other
    assert "secret value" not in caplog.text


def test_they_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_current", None)
    monkeypatch.setenv("ATTNLIB_THREADS", "2")
    assert settings.current().threads == 2
    monkeypatch.setenv("ATTNLIB_THREADS", "3")
    assert settings.current().threads == 2


def test_the_library_is_imported_whatever_they_say() -> None:
    env = {**os.environ, "ATTNLIB_THREADS": "none", "ATTNLIB_CONCURRENT_PASSES": "0"}
    command = [sys.executable, "-c", "import attnlib, attnlib.capture.passes"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_dashboard_does_not_start_on_a_wrong_value() -> None:
    env = {**os.environ, "ATTNLIB_THREADS": "none", "ATTNLIB_CACHE_MB": "0"}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    options = ["--server.port=0"]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "ATTNLIB_THREADS" in said and "ATTNLIB_CACHE_MB" in said
    assert "Traceback" not in said and "pydantic" not in said
