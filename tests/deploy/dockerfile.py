"""A Dockerfile read, and its steps carried out in folders: as near as one comes without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

# What the image would have beside what the Dockerfile brings is this machine's.
SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Steps that would change this machine's users and folders.
STAND_INS = {
    "useradd": "exit 0",
    "install": 'mkdir -p "${@: -1}"',
    "python": f'exec {sys.executable} "$@"',
}
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True)
class Step:
    """One instruction, such as ``RUN`` with what follows it."""

    name: str
    rest: str

    @property
    def words(self) -> list[str]:
        """Of the exec form, ``["python", "-m", …]``; else what spaces part."""
        found: list[str] = json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()
        return found


@dataclass
class Stage:
    """What a stage has made: files under ``root``, and how a command of it runs."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": SYSTEM})
    workdir: str = "/"
    last: dict[str, Step] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Absolute paths of the image as those of this machine."""
        made = "|".join(p.name for p in self.root.iterdir())
        if not made:
            return text
        return re.sub(rf"(?<![\w./-])/({made})(?![\w.-])", rf"{self.root}/\1", text)

    def place(self, path: str) -> Path:
        return self.root / str(Path(self.workdir) / path).lstrip("/")

    def environment(self) -> dict[str, str]:
        return {name: self.here(value) for name, value in self.env.items()}


def steps(text: str) -> list[Step]:
    """The instructions, without comments, each on one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [line.strip().split(None, 1) for line in joined.splitlines() if line.strip()]
    return [Step(name.upper(), rest.strip()) for name, rest in found]


def context(folder: Path) -> list[str]:
    """The files that ``.dockerignore`` lets through; the last line that fits a file decides."""
    rules = [r for r in (folder / ".dockerignore").read_text().split("\n") if r and r[0] != "#"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [name for name in listed if (folder / name).is_file() and not _ignored(name, rules)]


def _ignored(name: str, rules: list[str]) -> bool:
    ignored = False
    parents = [name, *map(str, Path(name).parents)]
    for rule in rules:
        pattern = rule.lstrip("!").removeprefix("**/")
        anywhere = rule.lstrip("!").startswith("**/")
        fits = any(fnmatch(Path(p).name if anywhere else p, pattern) for p in parents)
        if fits and (anywhere or pattern == "*" or "*" not in pattern):
            ignored = not rule.startswith("!")
    return ignored


class Build:
    """All stages of a Dockerfile, made one after the other."""

    def __init__(self, folder: Path, target: Path, arguments: dict[str, str]) -> None:
        """
        Args:
            folder: with the Dockerfile and what it copies.
            target: an empty folder, for the stages.
            arguments: of the build, over the defaults of ``ARG``.
        """
        self._folder, self._target, self._arguments = folder, target, arguments
        self._files = context(folder)
        self._bin = target / "stand-ins"
        self._bin.mkdir()
        for name, script in STAND_INS.items():
            (self._bin / name).write_text(f"#!/bin/bash\n{script}\n")
            (self._bin / name).chmod(0o755)
        self.stages: dict[str, Stage] = {}
        for step in steps((folder / "Dockerfile").read_text()):
            getattr(self, f"_{step.name.lower()}", self._keep)(step)

    @property
    def image(self) -> Stage:
        """The last stage: what is run."""
        return next(reversed(self.stages.values()))

    def _keep(self, step: Step) -> None:
        self.image.last[step.name] = step

    def _from(self, step: Step) -> None:
        base, _, name = step.rest.partition(" AS ")
        (self._target / name).mkdir()
        self.stages[name] = Stage(self._target / name)
        self.image.last["FROM"] = Step("FROM", base)

    def _arg(self, step: Step) -> None:
        name, _, default = step.rest.partition("=")
        self.image.env[name] = self._arguments.get(name, default)

    def _env(self, step: Step) -> None:
        env, before = self.image.env, dict(self.image.env)
        for name, value in (part.split("=", 1) for part in step.words):
            env[name] = _VARIABLE.sub(lambda m: before[m[1]], value)

    def _workdir(self, step: Step) -> None:
        self.image.workdir = step.rest
        self.image.place("").mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        *sources, target = step.words
        if sources[0].startswith("--from="):
            other, path = self.stages[sources[0].removeprefix("--from=")], sources[1]
            shutil.copytree(other.place(path), self.image.place(target), symlinks=True)
            return
        for source in sources:
            names = [n for n in self._files if n == source or n.startswith(f"{source}/")]
            assert names, f"COPY {source}: not in the context, see .dockerignore"
            for name in names:
                rest = name.removeprefix(source).lstrip("/") or Path(name).name
                place = self.image.place(target) / rest
                if name == source and not target.endswith("/"):
                    place = self.image.place(target)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._folder / name, place)

    def _run(self, step: Step) -> None:
        stage = self.image
        (stage.root / "opt").mkdir(exist_ok=True)
        (stage.root / "data").mkdir(exist_ok=True)
        self._lend_pip(stage)
        env = stage.environment()
        env["PATH"] = f"{self._bin}:{env['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", stage.here(step.rest)],
            cwd=stage.place(""), env=env, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"RUN {step.rest}\n{done.stdout}{done.stderr}"

    def _lend_pip(self, stage: Stage) -> None:
        """Exchange an environment's pip for one that lends what is installed here."""
        for pip in stage.root.glob("opt/venv/lib/python*/site-packages/pip"):
            if (pip / "pyproject.toml").exists():
                continue
            shutil.rmtree(pip)
            pip.mkdir()
            shutil.copy(Path(__file__).with_name("lending.py"), pip / "__main__.py")
            (pip / "pyproject.toml").write_text("")
            (pip / "lender").write_text(os.pathsep.join(p for p in sys.path if "packages" in p))
