"""The wheel, installed into an empty environment: the library, its command and the app."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(place)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    return next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel; what it depends on is lent by this one."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*install, "--no-index", "-q", str(wheel)], check=True)
    site = next((place / "lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python: Path, *arguments: str, place: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        [str(python), *arguments], cwd=place, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_everything_that_is_needed_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entries = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
        about = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    for path in ROOT.glob("attnlib/**/*"):
        if path.is_file() and path.suffix in (
            ".py",
            ".js",
            ".css",
            ".safetensors",
            ".json",
            ".typed",
        ):
            assert str(path.relative_to(ROOT)) in names
    assert {"attnlib/_app/app.py", "attnlib/_app/.streamlit/config.toml"} <= names
    for path in ROOT.glob("pages/*/page.py"):
        assert f"attnlib/_app/{path.relative_to(ROOT)}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "attnlib = attnlib.__main__:main" in entries
    assert "License-Expression: Apache-2.0" in about


def test_the_library_works_from_the_wheel(python: Path, tmp_path: Path) -> None:
    code = (
        "import attnlib, json; from attnlib.model import demo;"
        "from attnlib.data.image import decode;"
        "vit = attnlib.load('demo', device='cpu');"
        "heat = vit.attribute(decode(demo.images()[0].data));"
        "print(json.dumps([attnlib.__file__, heat.values.shape]))"
    )
    place, shape = json.loads(run(python, "-c", code, place=tmp_path))
    assert Path(place).is_relative_to(python.parents[1])
    assert shape == [8, 8]


def test_the_command_works_from_the_wheel(python: Path, tmp_path: Path) -> None:
    command = python.parent / "attnlib"
    out = run(python, str(command), "cost", "vit_tiny_patch16_224", "--csv", place=tmp_path)
    assert "parameters,5717416," in out


@pytest.fixture
def served(python: Path, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ["--server.port", str(port), "--server.headless", "true"]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    server = subprocess.Popen(
        [str(python), str(python.parent / "attnlib"), "dashboard", *options],
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    )
    try:
        yield f"http://localhost:{port}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def test_the_dashboard_starts_from_the_wheel(served: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{served}/_stcore/health") as answer:
                assert answer.read() == b"ok"
            break
        except OSError:
            time.sleep(0.2)
    else:
        raise AssertionError("the dashboard does not answer")
    with urllib.request.urlopen(served) as answer:
        assert b"<title>" in answer.read()
