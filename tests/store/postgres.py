"""A PostgreSQL server of the tests' own, which can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import psycopg

PATIENCE = 60.0


def programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``; None where they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(named).resolve().parent if named else None


class Server:
    """One server on a free port of this machine, as a user without rights."""

    def __init__(self, programs: Path, home: Path | None = None) -> None:
        """
        Args:
            programs: their folder.
            home: where a folder with its data is made; None for one in memory, if there is room.
        """
        self._programs = programs
        if home is None:
            # A process that is killed, unlike a power cut, loses nothing there.
            memory = Path("/dev/shm")
            roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 2**30
            home = memory if roomy else None
        self._home = Path(tempfile.mkdtemp(prefix="attnlib-postgres-", dir=home))
        self._home.chmod(0o700)
        # PostgreSQL refuses to run as root.
        self._as: list[str] = []
        if os.geteuid() == 0:
            user = _user()
            os.chown(self._home, user.pw_uid, user.pw_gid)
            rights = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            self._as = ["setpriv", *rights, "--"]
        self._data = self._home / "data"
        self._run("initdb", "-D", self._data, "-U", "attnlib", "-A", "trust", "-E", "UTF8", "-N")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers, after a crash until it has recovered."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                # What a killed server leaves; its helpers may live on for a moment.
                (self._data / "postmaster.pid").unlink(missing_ok=True)
                with open(self._home / "log", "ab") as log:
                    self._process = subprocess.Popen(
                        self._command("postgres", "-D", self._data, "-p", self.port,
                                      "-k", self._home, "-c", "listen_addresses=127.0.0.1",
                                      "-c", "max_connections=200", "-c", "shared_buffers=32MB",
                                      # In its own folder: a killed server leaves it behind.
                                      "-c", "dynamic_shared_memory_type=mmap"),
                        stdout=log, stderr=log, cwd="/",
                    )  # fmt: skip
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL does not start: {(self._home / 'log').read_text()}")

    def url(self, database: str) -> str:
        return f"postgresql://attnlib@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._process.send_signal(signal.SIGKILL)
        # Its helpers would live on for a moment, and write.
        for child in map(int, children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        self._process.wait()
        while any(_alive(child) for child in children):
            time.sleep(0.01)

    def crash(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it and take away all that it wrote."""
        if self._process is not None and self._process.poll() is None:
            self.kill()  # an orderly end writes everything out, for nobody
        shutil.rmtree(self._home, ignore_errors=True)

    def _run(self, *words: object) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr

    def _command(self, program: object, *words: object) -> list[str]:
        return [*self._as, str(self._programs / str(program)), *map(str, words)]


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
