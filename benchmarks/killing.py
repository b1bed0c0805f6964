"""Writers, the servers they ask and the database are killed in the middle; what was lost?

Writers ask a server for one case at a time (an image, what is said of it, a comment), until it
answers, and only then note that it is saved. Whoever is killed is started again: a writer goes on
with the first case that it has not noted, so that many are asked for twice.
"""

from __future__ import annotations

import io
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Client, Connection, Listener
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image

from attnlib import store
from attnlib.data.collection import collect
from attnlib.data.remarks import Remark
from attnlib.errors import StoreError
from attnlib.store import Case, Person, Store, StoredFile

FORK = get_context("fork")
TEAM = [Person(f"p{i}", f"Person {i}") for i in range(4)]
WORKSPACES = [uuid.UUID(int=i + 1).hex for i in range(4)]


def picture(number: int) -> bytes:
    """A PNG of about 6 KB; of each number another one."""
    pixels = np.random.default_rng(number).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def save(kept: Store, number: int) -> None:
    """Save one case; a second time it changes nothing."""
    me, id, name = TEAM[number % 4], WORKSPACES[number % 4], f"{number}.png"
    (opened,) = collect([(name, picture(number))]).opened
    kept.add_files(me, id, [StoredFile(_id("file", number), name, opened)])
    kept.say(me, id, name, Case(), Case(Remark((f"tag {number % 7}",), f"note of {number}")))
    kept.say(me, id, "shared.png", Case(), Case(Remark((f"by {number % 16}",))))
    kept.comment(me, id, _id("comment", number), "shared.png", str(number))


@dataclass
class Trial:
    """One run.

    Attributes:
        database: URL.
        home: folder of the store, of the servers' sockets and of the writers' notes.
        kill_database: kills the database and starts it again; None where it is a file.
        kills: how many writers, servers and databases are killed.
    """

    database: str
    home: Path
    writers: int
    cases: int
    kills: tuple[int, int, int]
    kill_database: Callable[[], None] | None = None
    servers: int = 2
    seed: int = 0
    done: Counter[str] = field(default_factory=Counter)
    # No writer begins a case from here on before the next victim is killed: writers on a fast
    # machine would be done before. Without a lock, which a killed writer would keep.
    bound: Any = field(default_factory=lambda: FORK.RawValue("i"))

    def run(self, patience: float = 600) -> float:
        """Until every case is noted as saved; the seconds that it took."""
        kept = store.connect(self.database, home=self.home)
        for me, id in zip(TEAM, WORKSPACES, strict=True):
            kept.create(me, id, "W", "team")
        kept.close()
        chance = random.Random(self.seed)
        victims = [v for v, n in zip(("writer", "server", "database"), self.kills, strict=True)
                   for _ in range(n)]  # fmt: skip
        chance.shuffle(victims)
        moments = [self.cases * (i + 1) // (len(victims) + 1) for i in range(len(victims))]
        start = time.perf_counter()
        servers = [self._server(place) for place in range(self.servers)]
        writers = [self._writer(place) for place in range(self.writers)]
        try:
            while any(writer.is_alive() for writer in writers):
                if time.perf_counter() - start > patience:
                    raise TimeoutError(f"{len(self.noted())} of {self.cases} after {patience} s")
                self.bound.value = moments[0] + self.writers if moments else self.cases
                if moments and len(self.noted()) >= moments[0]:
                    moments.pop(0)
                    victim = victims.pop()
                    self.done[victim] += 1
                    if victim == "database" and self.kill_database is not None:
                        self.kill_database()
                    elif victim == "server":
                        place = chance.randrange(self.servers)
                        _kill(servers[place])
                        servers[place] = self._server(place)
                    else:
                        alive = [i for i, writer in enumerate(writers) if writer.is_alive()]
                        if alive:
                            place = chance.choice(alive)
                            _kill(writers[place])
                            writers[place] = self._writer(place)
                time.sleep(0.005)
        finally:
            for process in (*writers, *servers):
                _kill(process)
        return time.perf_counter() - start

    def noted(self) -> dict[int, float]:
        """Every case that a writer knows to be saved, and the seconds that it waited."""
        found = {}
        for notes in self.home.glob("writer-*"):
            for line in notes.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    number, seconds = line.split()
                    found[int(number)] = float(seconds)
        return found

    def faults(self) -> list[str]:
        """All that is lost, there twice, or damaged."""
        kept, noted = store.connect(self.database, home=self.home), set(self.noted())
        found = [f"{n} was never saved" for n in set(range(self.cases)) - noted]
        for place, (me, id) in enumerate(zip(TEAM, WORKSPACES, strict=True)):
            contents = kept.open(me, id)
            items = Counter[str]()
            for file in contents.files:
                for item in file.opened.items:
                    if not isinstance(item, tuple):
                        found.append(f"refused: {item}")
                        continue
                    name, content = item
                    items[name] += 1
                    try:
                        if content.read() != picture(int(name.removesuffix(".png"))):
                            found.append(f"{name} is another picture")
                    except StoreError as error:
                        found.append(str(error))
            said = Counter(c.text for c in contents.comments.get("shared.png", ()))
            for n in (n for n in noted if n % 4 == place):
                name = f"{n}.png"
                case = contents.cases.get(name, Case())
                wanted = Case(Remark((f"tag {n % 7}",), f"note of {n}"))
                if items[name] != 1 or said[str(n)] != 1:
                    found.append(f"{n}: {items[name]} images, {said[str(n)]} comments")
                if not case.same(wanted) or len(kept.history(me, id, name)) != 1:
                    found.append(f"{n}: {case}")
                if f"by {n % 16}" not in contents.cases["shared.png"].remark.tags:
                    found.append(f"{n}: its tag of the shared case is lost")
            if sum(items.values()) != contents.head.images:
                found.append(f"{contents.head.images} images are counted")
        kept.close()
        return found

    def _server(self, place: int) -> BaseProcess:
        return _started(_serve, str(self._socket(place)), self.database, self.home)

    def _writer(self, place: int) -> BaseProcess:
        notes = self.home / f"writer-{place}"
        sockets = [str(self._socket(i)) for i in range(self.servers)]
        numbers = range(place, self.cases, self.writers)
        return _started(_write, notes, numbers, sockets, self.bound)

    def _socket(self, place: int) -> Path:
        return self.home / f"server-{place}"


def _serve(address: str, database: str, home: Path) -> None:
    Path(address).unlink(missing_ok=True)
    while True:
        try:
            kept = store.connect(database, home=home)
            break
        except StoreError:  # the database is being started
            time.sleep(0.05)
    with Listener(address, "AF_UNIX", backlog=64) as listener:
        while True:
            Thread(target=_answer, args=(listener.accept(), kept), daemon=True).start()


def _answer(asked: Connection, kept: Store) -> None:
    with asked:
        try:
            save(kept, asked.recv())
            asked.send(True)
        except StoreError:
            asked.send(False)
        except (EOFError, OSError):
            pass  # the writer was killed


def _write(notes: Path, numbers: Sequence[int], sockets: Sequence[str], bound: Any) -> None:
    """Ask for each case until it is answered, and note it safely on disk."""
    text = notes.read_text() if notes.exists() else ""
    known = {int(line.split()[0]) for line in text.splitlines(keepends=True) if line[-1] == "\n"}
    chance = random.Random(os.getpid())
    with open(notes, "a") as file:
        if text and not text.endswith("\n"):
            file.truncate(text.rfind("\n") + 1)
        for number in numbers:
            if number in known:
                continue
            while number >= bound.value:
                time.sleep(0.002)
            start = time.perf_counter()
            while not _asked(chance.choice(sockets), number):
                time.sleep(0.02)
            file.write(f"{number} {time.perf_counter() - start:.3f}\n")
            file.flush()
            os.fsync(file.fileno())


def _asked(address: str, number: int) -> bool:
    try:
        with Client(address, "AF_UNIX") as server:
            server.send(number)
            saved: bool = server.recv()
            return saved
    except (OSError, EOFError):
        return False


def _id(kind: str, number: int) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {number}").hex


def _started(work: Callable[..., None], *arguments: object) -> BaseProcess:
    process = FORK.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def _kill(process: BaseProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
