"""The engine of many processes, GPUs and machines: Ray actors that each hold the model.

The driver hands out one shard at a time. Whoever dies is started again by Ray and its shard asked
for again; a part that was written twice is the same part.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attnlib.audit.runs import heap
from attnlib.audit.runs.here import Step
from attnlib.audit.runs.manifest import Folder
from attnlib.audit.runs.shard import Worker
from attnlib.errors import AttnlibError, brief

# Shards that are asked of one actor at a time: the next is there when one is done.
IN_HAND = 2


def run(
    make: Callable[[], Worker],
    folder: Folder,
    shards: Sequence[int],
    step: Step,
    *,
    workers: int,
    gpus: float = 0.0,
    address: str | None = None,
) -> None:
    """Write the parts of some shards.

    Args:
        make: builds the worker within an actor.
        workers: how many actors.
        gpus: of each actor, a share or a number.
        address: of a cluster; one of this machine is started if None, and stopped at the end.

    Raises:
        AttnlibError: Ray is not installed, does not start, or an actor fails for good.
    """
    ray = _ray(own=address is None)
    own = not ray.is_initialized()
    if own:
        _start(ray, address, workers)

    class Actor:
        def __init__(self) -> None:
            self.worker: Worker | None = None

        def shard(self, number: int) -> int:
            """Made here and not at the start, so that a model that fails to load is an answer."""
            if self.worker is None:
                heap.keep()
                self.worker = make()
            entries = folder.entries(number)
            if number not in folder.done():
                folder.write(number, self.worker.rows(entries))
            return len(entries)

    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=-1)(Actor)
    actors = [remote.remote() for _ in range(min(workers, max(1, len(shards))))]
    queue, asked = deque(shards), {}
    try:
        for _ in range(IN_HAND):
            for actor in actors:
                if queue:
                    asked[actor.shard.remote(queue.popleft())] = actor
        while asked:
            (ended, *_), _ = ray.wait(list(asked), num_returns=1, timeout=None)
            actor = asked.pop(ended)
            step(ray.get(ended))
            if queue:
                asked[actor.shard.remote(queue.popleft())] = actor
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, AttnlibError) else None
        raise AttnlibError(str(cause) if cause else f"A worker failed: {brief(error)}.") from error
    except ray.exceptions.RayError as error:
        raise AttnlibError(f"Ray gave up: {brief(error)}.") from error
    finally:
        for actor in actors:
            ray.kill(actor)
        if own:
            ray.shutdown()


def _ray(*, own: bool) -> Any:
    if own:
        # A cluster for this run alone: nobody else on machine or network has its token, and no
        # file of it is left in a home folder. Ray reads this when it is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise AttnlibError("--engine ray needs Ray: pip install 'attnlib[ray]'.") from error
    return ray


def _start(ray: Any, address: str | None, workers: int) -> None:
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {"num_cpus": workers, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(
            **options,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise AttnlibError(f"Ray does not start: {brief(error)}.") from error
