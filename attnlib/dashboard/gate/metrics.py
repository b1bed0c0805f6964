"""Numbers of this process in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from streamlit import runtime

from attnlib.capture.passes import TRAFFIC
from attnlib.dashboard.gate.logs import ERRORS
from attnlib.dashboard.state import results
from attnlib.dashboard.state.cache import BoundedCache

# Answers by the first digit of their status, and refusals by reason; of the event loop alone.
ANSWERED: Counter[str] = Counter()
REFUSED: Counter[str] = Counter()


@dataclass(frozen=True)
class Metric:
    """One number, or one for each value of a label.

    Attributes:
        name: without what stands before every one.
        kind: ``gauge`` goes up and down, ``counter`` only up.
        values: by the value of the label; of a number alone by "".
    """

    name: str
    kind: str
    help: str
    values: Mapping[str, float]
    label: str = ""

    def lines(self) -> list[str]:
        """The number as Prometheus reads it."""
        name = f"attnlib_{self.name}"
        found = [f"# HELP {name} {self.help}", f"# TYPE {name} {self.kind}"]
        for value, number in sorted(self.values.items()):
            place = f'{{{self.label}="{value}"}}' if self.label else ""
            found.append(f"{name}{place} {number:g}" if number < 1e6 else f"{name}{place} {number}")
        return found


def now() -> list[Metric]:
    """Every number of this moment."""
    caches = _caches()
    return [
        Metric("sessions", "gauge", "Browser tabs that are connected.", {"": _sessions()}),
        Metric("passes_waiting", "gauge", "Forward passes in the queue.", {"": TRAFFIC.waiting}),
        Metric("passes_running", "gauge", "Forward passes that run.", {"": TRAFFIC.running}),
        Metric("passes_total", "counter", "Forward passes that ended.", {"": TRAFFIC.ended}),
        Metric(
            "cache_bytes",
            "gauge",
            "Memory of results that are kept.",
            {name: cache.nbytes for name, cache in caches.items()},
            "cache",
        ),
        Metric(
            "cache_limit_bytes",
            "gauge",
            "Memory that results may take.",
            {name: cache.limit for name, cache in caches.items()},
            "cache",
        ),
        Metric(
            "cache_entries",
            "gauge",
            "Results that are kept.",
            {name: len(cache) for name, cache in caches.items()},
            "cache",
        ),
        Metric("answers_total", "counter", "Answers by status.", dict(ANSWERED), "status"),
        Metric("refusals_total", "counter", "Requests refused.", dict(REFUSED), "reason"),
        Metric("errors_total", "counter", "Errors in the log.", {"": ERRORS.count}),
    ]


async def show(request: Request) -> PlainTextResponse:
    """All of them, for whoever the gate lets through."""
    lines = [line for metric in now() for line in metric.lines()]
    kind = "text/plain; version=0.0.4"
    return PlainTextResponse("\n".join(lines) + "\n", media_type=kind)


def _caches() -> dict[str, BoundedCache[object]]:
    store = results.store()
    return {part.name: getattr(store, part.name) for part in fields(store)}


def _sessions() -> int:
    return runtime.get_instance()._session_mgr.num_active_sessions() if runtime.exists() else 0
