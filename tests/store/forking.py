"""Other processes, which need no second import of everything."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_FORK = multiprocessing.get_context("fork")


def start(work: Callable[..., Any], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Run work in another process; its answer, or a traceback as text, comes over the pipe."""
    mine, theirs = _FORK.Pipe()
    process = _FORK.Process(target=_run, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    return process, mine


def answers(work: Callable[..., Any], *each: tuple[Any, ...]) -> list[Any]:
    """The answers of as many processes at once as there are tuples of arguments."""
    running = [start(work, *arguments) for arguments in each]
    found = [pipe.recv() if pipe.poll(120) else "no answer" for _, pipe in running]
    for process, _ in running:
        process.join(10)
    return found


def _run(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send(work(*arguments))
    except BaseException:
        pipe.send(traceback.format_exc())
