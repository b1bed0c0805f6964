"""The Dockerfile's steps, carried out in a clean environment, and what it starts.

Not covered, since no container is built: the base image and its Python, the download of packages
(the lock's hashes are checked by `.ci/run`) and PyTorch's index for processors, the kernel's own
read-only root.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard.browsing import free_port
from tests.deploy import dockerfile
from tests.deploy.dockerfile import Build, Step

ROOT = Path(__file__).parents[2]
STEPS = dockerfile.steps((ROOT / "Dockerfile").read_text())
# Another user who may read everything, as a container's may, and write nothing.
RIGHTS = ["--clear-groups", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
PORT = "8501"


@pytest.fixture(scope="module")
def build() -> Iterator[Build]:
    # Not in pytest's own folder, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="attnlib-image-") as folder:
        Path(folder).chmod(0o755)
        yield Build(ROOT, Path(folder), {})


def _user(build: Build) -> list[str]:
    """Run as the image's user, where this process may."""
    if os.geteuid() != 0:
        return []
    uid, gid = build.image.last["USER"].rest.split(":")
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", *RIGHTS, "--"]


def _words(step: Step, port: int) -> list[str]:
    return [word.replace(PORT, str(port)) for word in step.words]


def test_the_context_is_what_is_copied_and_nothing_else() -> None:
    sources = [
        word.rstrip("/")
        for step in STEPS
        if step.name == "COPY" and "--from" not in step.rest
        for word in step.words[:-1]
    ]
    names = dockerfile.context(ROOT)
    assert names
    for source in sources:
        assert any(n == source or n.startswith(f"{source}/") for n in names), source
    for name in names:
        assert any(name == s or name.startswith(f"{s}/") for s in sources), name
    assert not [n for n in names if "secret" in n or "__pycache__" in n]


def test_bases_are_pinned_and_the_user_has_no_rights() -> None:
    bases = [step.rest.split()[0] for step in STEPS if step.name == "FROM"]
    assert bases and all(re.search(r":\d+\.\d+\.\d+-|@sha256:", base) for base in bases)
    assert [s.rest for s in STEPS if s.name == "USER"] == ["1000:1000"]
    assert not [s for s in STEPS if s.name == "ADD"]
    last = [s.name for s in STEPS]
    assert last.index("USER") > max(i for i, s in enumerate(STEPS) if s.name in ("RUN", "COPY"))


@pytest.mark.parametrize("accelerator", ["cpu", "cuda"])
def test_what_is_installed_for_each_accelerator(accelerator: str, tmp_path: Path) -> None:
    """The step that chooses: run with a pip that only says what it was asked for."""
    (step,) = (s for s in STEPS if s.name == "RUN" and "ACCELERATOR" in s.rest)
    (tmp_path / "pip").write_text('#!/bin/sh\necho "$@" >> asked\ncat torch.txt >> asked\n')
    (tmp_path / "pip").chmod(0o755)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    shutil.copy(ROOT / "deploy/requirements.lock", tmp_path)
    script = step.rest.replace("/opt/venv/bin/python", str(tmp_path / "pip"))
    env = {"PATH": dockerfile.SYSTEM, "ACCELERATOR": accelerator}
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=True)
    names = {
        name: set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", (tmp_path / name).read_text(), re.M))
        for name in ("requirements.lock", "rest.lock")
    }
    left = names["requirements.lock"] - names["rest.lock"]
    gpu = {n for n in names["requirements.lock"] if n.startswith(("nvidia-", "cuda-"))}
    assert len(gpu) > 10
    if accelerator == "cuda":
        assert left == set() and not (tmp_path / "asked").exists()
    else:
        assert left == gpu | {"torch", "torchvision", "triton"}
        asked = (tmp_path / "asked").read_text()
        assert "https://download.pytorch.org/whl/cpu" in asked
        pinned = (ROOT / "requirements.txt").read_text()
        assert all(line in pinned for line in re.findall(r"^torch.*==.*$", asked, re.M))
        assert len(re.findall(r"^torch.*==.*$", asked, re.M)) == 2
    text = (tmp_path / "rest.lock").read_text()
    assert len(re.findall(r"==", text)) == len(names["rest.lock"]), "no hash without its package"
    bad = {**env, "ACCELERATOR": "tpu"}
    ended = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=bad)
    assert ended.returncode != 0


def test_the_lock_is_that_of_the_app_and_its_optional_parts() -> None:
    def pins(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text()
        found = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", text, re.M)
        return {re.sub(r"[-_.]+", "-", n).lower(): version for n, version in found}

    locked = pins("deploy/requirements.lock")
    wanted = {**pins("requirements.txt"), **pins("deploy/requirements.txt")}
    assert {name: locked.get(name) for name in wanted} == wanted
    tested = pins("requirements-dev.txt")
    both = set(wanted) & set(tested)
    assert {n: wanted[n] for n in both} == {n: tested[n] for n in both}


def test_it_starts_and_is_healthy_and_writes_nowhere_else(build: Build) -> None:
    image, port = build.image, free_port()
    user = _user(build)
    data = image.place("/data")
    if user:
        shutil.chown(data, *map(int, image.last["USER"].rest.split(":")))
        writable = ["find", str(image.root), "-writable", "!", "-type", "l"]
        found = subprocess.run([*user, *writable], capture_output=True, text=True)
        assert set(found.stdout.split()) == {str(data)}, "only the volume"
    environment = image.environment()
    assert environment["STREAMLIT_SERVER_PORT"] == PORT == image.last["EXPOSE"].rest
    environment["STREAMLIT_SERVER_PORT"] = str(port)
    before = _state(image.root, data)
    _, *check = _words(Step("HEALTHCHECK", image.last["HEALTHCHECK"].rest.split("CMD ")[1]), port)
    python = image.place("/opt/venv/bin/python")
    ask = [*user, str(python), *check]
    assert subprocess.run(ask, env=environment, capture_output=True).returncode != 0, "not yet"
    name, *rest = _words(image.last["CMD"], port)
    assert name == "python"
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [*user, str(python), *rest],
            cwd=image.place(""),
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            until = time.monotonic() + 120
            while subprocess.run(ask, env=environment, capture_output=True).returncode:
                log.seek(0)
                assert server.poll() is None and time.monotonic() < until, log.read().decode()
            if user:
                status = Path(f"/proc/{server.pid}/status").read_text()
                assert re.search(r"^Uid:\s+1000\s+1000", status, re.M)
            with urllib.request.urlopen(f"http://localhost:{port}/readyz") as answer:
                assert json.load(answer)["ready"]
            with urllib.request.urlopen(f"http://localhost:{port}/cls-attention") as answer:
                assert b"<title>" in answer.read()
            kept = [*user, str(python), "-m", "attnlib", "backup", str(data / "backup")]
            done = subprocess.run(
                kept, cwd=image.place(""), env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(20)
            server.kill()
    assert server.returncode is not None and server.returncode != -9, "it ends when it is asked to"
    assert _state(image.root, data) == before


def _state(root: Path, apart: Path) -> dict[str, int]:
    """When each file of the image was changed."""
    return {
        str(path): path.lstat().st_mtime_ns
        for path in root.rglob("*")
        if not path.is_relative_to(apart)
    }


def test_nothing_of_the_checkout_is_needed(build: Build) -> None:
    python = build.image.place("/opt/venv/bin/python")
    code = (
        "import importlib.util, sys; print(importlib.util.find_spec('attnlib').origin, *sys.path)"
    )
    env = build.image.environment()
    said = subprocess.run(
        [str(python), "-c", code],
        cwd=build.image.place(""),
        env=env,
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(str(build.image.place("attnlib/__init__.py")))
    assert str(ROOT) not in said.stdout
