"""Running configurations on the present device: short, one at a time, and in turn with others."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from attnlib.capture.passes import choose_device
from attnlib.complexity import Cost
from attnlib.complexity.attention_benchmark import FORMS, AttentionTime, benchmark_attention
from attnlib.complexity.cost import cost as price
from attnlib.complexity.matmul_rate import matmul_rate
from attnlib.complexity.measure import Measurement, measure
from attnlib.complexity.savings import Options
from attnlib.complexity.training_benchmark import StepTime, benchmark_training
from attnlib.dashboard.cost import words
from attnlib.dashboard.state import models
from attnlib.errors import AttnlibError

Progress = Callable[[int, int], None]

KEPT = 200
# Attention in all its forms runs as one piece of work that nobody can get between.
_FORM_SECONDS = 0.05
BRIEF = 0.3
_FORM_RUNS = 4  # two to warm up, one that counts, and one that may begin just before the end
# Only one measurement at a time: two would measure each other.
_TURN = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What one visitor may take of the device.

    Attributes:
        seconds: for the repeats of one measurement.
        longest_pass: seconds; a pass cannot be stopped while it runs.
        memory: bytes, None where only the device's own is the limit.
    """

    seconds: float
    longest_pass: float
    memory: int | None


ALONE = Limits(seconds=5.0, longest_pass=20.0, memory=None)
SHARED = Limits(seconds=2.0, longest_pass=1.0, memory=2 * 2**30)


def limits() -> Limits:
    """Short where the server has other visitors."""
    return ALONE if models.local_files_allowed() else SHARED


def one(
    cost: Cost, device: str, allowed: Limits, progress: Progress, seconds: float | None = None
) -> Measurement:
    """Measure one configuration.

    Raises:
        AttnlibError: it would take too long or too much memory, or cannot be built.
    """
    with _turn(progress):
        _check_type(cost, device, allowed)
        _check(cost, device, allowed)
        return measure(
            cost.architecture,
            cost.batch,
            cost.dtype,
            device,
            cost.training,
            cost.materialised,
            allowed.seconds if seconds is None else seconds,
            _between(progress),
        )


def several(
    costs: Sequence[Cost], device: str, allowed: Limits, progress: Progress
) -> list[Measurement]:
    """Measure a few configurations briefly; those that are refused are left out.

    Raises:
        AttnlibError: all of them are refused; the message is the first one's.
    """
    found: list[Measurement] = []
    refused: list[AttnlibError] = []
    brief = allowed.seconds / len(costs)
    # Many points, one visitor: none of them may take long.
    allowed = dataclasses.replace(allowed, longest_pass=min(0.5, allowed.longest_pass))
    for i, cost in enumerate(costs):
        progress(i, len(costs))

        def step(done: int, total: int, i: int = i) -> None:
            progress(i, len(costs))

        try:
            found.append(one(cost, device, allowed, step, brief))
        except AttnlibError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def forms(
    cost: Cost, device: str, allowed: Limits, options: Options, progress: Progress
) -> list[AttentionTime]:
    """One layer's attention in every form that the library has.

    Raises:
        AttnlibError: it would take too long or too much memory.
    """
    a = cost.architecture
    with _turn(progress):
        _check_type(cost, device, allowed)
        products = 4 * cost.batch * a.tokens**2 * a.attention_width
        needed = len(FORMS) * _FORM_RUNS * products / _rate(device, cost)
        _refuse_slow(needed, allowed, "All forms of one layer need")
        return benchmark_attention(
            a, cost.batch, cost.dtype, device, options, seconds=_FORM_SECONDS
        )


def steps(cost: Cost, device: str, allowed: Limits, progress: Progress) -> list[StepTime]:
    """A training step plain, in mixed precision, and with checkpointing.

    Raises:
        AttnlibError: it would take too long or too much memory, or cannot be built.
    """
    with _turn(progress):
        training = price(cost.architecture, cost.batch, "float32", training=True)
        _check(training, device, allowed)
        return benchmark_training(cost.architecture, cost.batch, device, BRIEF)


def keep(found: Sequence[Measurement]) -> None:
    """Remember measurements for this visitor; a new one replaces the old one of the same."""
    stored = _stored()
    seen: set[Measurement] = st.session_state.setdefault("cost_seen", set())
    for measurement in found:
        # A finished task hands out its result again at every run of the page.
        if measurement in seen:
            continue
        seen.add(measurement)
        stored.pop((measurement.cost, measurement.device), None)
        stored[measurement.cost, measurement.device] = measurement
    while len(stored) > KEPT:
        seen.discard(stored.pop(next(iter(stored))))


def kept() -> list[Measurement]:
    """What this visitor has measured, oldest first."""
    return list(_stored().values())


def _stored() -> dict[tuple[Cost, str], Measurement]:
    found: dict[tuple[Cost, str], Measurement] = st.session_state.setdefault("cost_measured", {})
    return found


@contextmanager
def _turn(progress: Progress) -> Iterator[None]:
    """Wait for the other measurements, so that a visitor who leaves also leaves the queue."""
    while not _TURN.acquire(timeout=0.2):
        progress(0, 1)
    try:
        yield
    finally:
        _TURN.release()


def _between(progress: Progress) -> Callable[[float], bool]:
    def step(share: float) -> bool:
        # A thread that waits for its pass wakes up only if this one lets go for a moment.
        time.sleep(0.002)
        progress(round(100 * share), 100)
        return True

    return step


def _check_type(cost: Cost, device: str, allowed: Limits) -> None:
    # Even the one matrix product that tells the device's rate would hold up everybody for
    # seconds: CPUs emulate float16.
    if cost.dtype == "float16" and device == "cpu" and allowed.memory is not None:
        raise AttnlibError(
            "Products in float16 are emulated on a CPU and too slow for a shared server. Measure "
            "bfloat16 or float32."
        )


def _check(cost: Cost, device: str, allowed: Limits) -> None:
    m = cost.memory
    needed = m.peak - m.optimiser
    if allowed.memory is not None and needed > allowed.memory:
        raise AttnlibError(
            f"This needs about {words.memory(needed)}, and one visitor may take "
            f"{words.memory(allowed.memory)} of this shared server. Use a smaller batch, image "
            "or model."
        )
    operations = 2 * (cost.training_macs if cost.training else cost.macs.total)
    _refuse_slow(operations / _rate(device, cost), allowed, "One pass needs")


def _refuse_slow(seconds: float, allowed: Limits, what: str) -> None:
    if seconds > allowed.longest_pass:
        raise AttnlibError(
            f"{what} at least {words.duration(seconds)} at the rate of this device, and the limit "
            f"is {words.duration(allowed.longest_pass)}. Use a smaller batch, image or model."
        )


def _rate(device: str, cost: Cost) -> float:
    return matmul_rate(str(choose_device(device)), cost.dtype)
